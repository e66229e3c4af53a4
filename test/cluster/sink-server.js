// Runs in a pod (sink.ts): SMTP on 2525, what came as JSON on 8080. Plain JavaScript, with the image's packages.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const { SMTPServer } = createRequire("/postroom/package.json")("smtp-server");
const messages = [];
new SMTPServer({
  disabledCommands: ["AUTH", "STARTTLS"],
  hideSTARTTLS: true,
  onData(stream, session, done) {
    const chunks = [];
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("end", () => {
      const { mailFrom, rcptTo } = session.envelope;
      messages.push({
        sender: mailFrom ? mailFrom.address : "",
        recipients: rcptTo.map(({ address }) => address),
        content: Buffer.concat(chunks).toString(),
      });
      done();
    });
  },
}).listen(2525);

const counts = () => {
  const times = {};
  for (const { content } of messages) {
    const id = /^Message-ID: <(.*)>\r$/im.exec(content)?.[1] ?? "";
    times[id] = (times[id] ?? 0) + 1;
  }
  return times;
};
createServer(({ url }, response) =>
  response.end(JSON.stringify(url === "/ids" ? counts() : messages)),
).listen(8080);
