package speechlake;

import io.delta.storage.S3SingleDriverLogStore;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.util.Arrays;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * A log store in which one writer of several can create a version of a table's log, by S3's conditional put.
 *
 * Delta 4.4 writes a version with a plain put after it has looked whether it is there: of two drivers that look
 * at the same time the second overwrites the first. Hadoop's connector can say `If-None-Match: *`, but only to
 * who asks it as below. Delta is getting a log store that does; until it is released, this one serves.
 *
 * Built by scripts/s3_log_store.py with the compiler that Spark brings, Janino, which knows no lambdas.
 */
public class ConditionalS3LogStore extends S3SingleDriverLogStore {

    /** Refuse, rather than ignore, where the connector is too old or the option is switched off. */
    private static final String CONDITIONAL = "fs.option.create.conditional.overwrite";

    public ConditionalS3LogStore(Configuration configuration) {
        super(configuration);
    }

    public void write(Path path, Iterator actions, Boolean overwrite, Configuration configuration) throws IOException {
        if (overwrite.booleanValue()) {
            super.write(path, actions, overwrite, configuration);
            return;
        }
        byte[] commit = bytes(actions);
        FileSystem files = path.getFileSystem(configuration);
        try {
            create(files, path, commit);
        } catch (IOException error) {
            // Refused because it is there, or sent and its answer lost: every commit holds an id of its own, so
            // that equal bytes are ours. Where nothing is there, the error is not about another writer.
            if (!files.exists(path)) {
                throw error;
            }
            if (!Arrays.equals(commit, content(files, path))) {
                throw new FileAlreadyExistsException(path.toString());
            }
        }
    }

    private static void create(FileSystem files, Path path, byte[] commit) throws IOException {
        FSDataOutputStreamBuilder builder = files.createFile(path).create().recursive().overwrite(false);
        builder = (FSDataOutputStreamBuilder) builder.must(CONDITIONAL, true);
        FSDataOutputStream out = (FSDataOutputStream) builder.build();
        out.write(commit);
        out.close();
    }

    private static byte[] bytes(Iterator actions) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        while (actions.hasNext()) {
            out.write(((String) actions.next()).getBytes(StandardCharsets.UTF_8));
            out.write('\n');
        }
        return out.toByteArray();
    }

    private static byte[] content(FileSystem files, Path path) throws IOException {
        FSDataInputStream in = files.open(path);
        try {
            return in.readAllBytes();
        } finally {
            in.close();
        }
    }
}
