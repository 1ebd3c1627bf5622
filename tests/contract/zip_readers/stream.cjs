// Reads a zip file from standard input with unzipper, which reads streams.
const unzipper = require("unzipper");

process.stdin
  .pipe(unzipper.Parse())
  .on("entry", (entry) => {
    if (!(entry.vars.uncompressedSize > 0) || entry.vars.flags & 8) throw new Error("no sizes");
    process.stderr.write(entry.path);
    entry.pipe(process.stdout);
  })
  .on("error", (error) => { throw error; });
