import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** Reads a zip file from standard input as a stream, and writes its member's name and content. */
public class Stream {
    public static void main(String[] arguments) throws Exception {
        try (ZipInputStream zip = new ZipInputStream(System.in)) {
            ZipEntry entry = zip.getNextEntry();
            System.err.print(entry.getName());
            zip.transferTo(System.out);
            zip.closeEntry();
            if (zip.getNextEntry() != null) throw new IllegalStateException("another member");
        }
        System.out.flush();
    }
}
