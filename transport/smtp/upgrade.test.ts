/** Contract with smtp-server: what upgrade.ts leans on. A failure here after an upgrade says which part has moved. */
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import { SMTPStream } from "smtp-server/lib/smtp-stream.js";
import { describe, expect, test } from "vitest";
import installed from "../../node_modules/smtp-server/package.json" with { type: "json" };
import project from "../../package.json" with { type: "json" };

describe("smtp-server", () => {
  test("is pinned to the version whose inside upgrade.ts knows", () => {
    expect(project.dependencies["smtp-server"]).toBe("3.21.6");
    expect(installed.version).toBe(project.dependencies["smtp-server"]);
  });

  test.each(["_createParser", "_armTimeout", "_onError", "_onClose", "upgrade"] as const)(
    "SMTPConnection has %s()",
    (name) => {
      expect(typeof SMTPConnection.prototype[name]).toBe("function");
    },
  );

  test("SMTPStream holds isClosed", () => {
    expect(new SMTPStream().isClosed).toBe(false);
  });

  test("upgrade() reads from the TLS socket only when onSecure() calls back, which upgrade.ts never does", () => {
    const source = SMTPConnection.prototype.upgrade.toString();
    const pipe = source.indexOf("this._socket.pipe(this._parser)");
    expect(source.indexOf("this._server.onSecure(this._socket")).toBeLessThan(pipe);
    expect(source.split(".pipe(").length).toBe(2);
  });

  test("upgrade() retires the parser before the handshake, and takes the listeners off", () => {
    const source = SMTPConnection.prototype.upgrade.toString();
    expect(source.indexOf("this._parser.isClosed = true")).toBeGreaterThan(0);
    expect(source.indexOf("this._parser = this._createParser()")).toBeLessThan(source.indexOf("TLSSocket"));
    expect(source).toContain("removeAllListeners()");
  });
});
