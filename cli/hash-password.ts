/** `postroom hash-password`: reads a password from standard input, prints its scrypt form for a credentials Secret. */
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { hashPassword } from "../transport/smtp/mod.ts";

export function addHashPassword(program: Command): void {
  program
    .command("hash-password")
    .description("Read a password from standard input, print it as $scrypt$ for a Secret's `users`")
    .action(async () => {
      const password = (await text(process.stdin)).replace(/\r?\n$/, "");
      if (password === "") throw new Error("Cannot hash the password: standard input is empty");
      process.stdout.write(`${await hashPassword(password)}\n`);
    });
}
