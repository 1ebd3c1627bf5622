import io.trino.sql.parser.ParsingException;
import io.trino.sql.parser.SqlParser;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** Trino's own parser: a statement a line in Base64, a verdict a line out. Run by syntax.py. */
public class Syntax {
    public static void main(String[] arguments) throws Exception {
        var parser = new SqlParser();
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(new BufferedOutputStream(System.out), true, StandardCharsets.UTF_8);
        String line;
        while ((line = in.readLine()) != null) {
            String sql = new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8);
            out.println(verdict(parser, sql));
        }
    }

    private static String verdict(SqlParser parser, String sql) {
        try {
            return "ok " + parser.createStatement(sql).getClass().getSimpleName();
        } catch (ParsingException error) {
            String message = error.getErrorMessage().replace('\n', ' ').replace('\r', ' ');
            return "error " + error.getLineNumber() + ":" + error.getColumnNumber() + " " + message;
        }
    }
}
