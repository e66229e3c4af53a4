/** The replies that the smtp room sends by itself. Generic: causes belong to the log. */
import type { Reply } from "../../mail/reply.ts";
import { constant } from "./reply-lines.ts";

export const QUIT: Reply = constant(221, "2.0.0", "Closing connection");
export const OK: Reply = constant(250, "2.0.0", "OK");
export const RESET: Reply = constant(250, "2.0.0", "Transaction dropped");
export const SENDER_OK: Reply = constant(250, "2.1.0", "Sender OK");
export const RECIPIENT_OK: Reply = constant(250, "2.1.5", "Recipient OK");
export const CANNOT_VERIFY: Reply = constant(
  252,
  "2.5.0",
  "Cannot verify, but will accept mail for delivery",
);
export const HELP: Reply = constant(214, "2.0.0", "Commands are described in RFC 5321");
export const READY_FOR_TLS: Reply = constant(220, "2.0.0", "Ready to start TLS");
export const AUTHENTICATED: Reply = constant(235, "2.7.0", "Authentication successful");
// RFC 2034 §4: 3yz replies carry no enhanced status.
export const START_INPUT: Reply = constant(354, undefined, "Start mail input; end with <CRLF>.<CRLF>");

export const SHUTTING_DOWN: Reply = constant(421, "4.3.2", "Service not available, closing connection");
export const IDLE: Reply = constant(421, "4.4.2", "Timeout, closing connection");
export const TOO_SLOW: Reply = constant(421, "4.4.2", "Data rate too low, closing connection");
export const TOO_LONG: Reply = constant(421, "4.4.2", "Session too long, closing connection");
export const TOO_MANY_ERRORS: Reply = constant(421, "4.7.0", "Too many errors, closing connection");
export const TOO_MANY_LOGONS: Reply = constant(421, "4.7.0", "Too many failed logons, closing connection");
export const TOO_MANY_MESSAGES: Reply = constant(421, "4.7.0", "Too many messages, closing connection");
export const INTERNAL_FAULT: Reply = constant(451, "4.3.0", "Temporary server error, try again later");
export const TOO_MANY_RECIPIENTS: Reply = constant(452, "4.5.3", "Too many recipients");
export const NO_TLS_NOW: Reply = constant(454, "4.7.0", "TLS not available due to a temporary reason");
export const NO_AUTH_NOW: Reply = constant(454, "4.7.0", "Temporary authentication failure");

export const NOT_A_COMMAND: Reply = constant(500, "5.5.2", "Syntax error");
export const LINE_TOO_LONG: Reply = constant(500, "5.5.2", "Line too long");
export const UNKNOWN_COMMAND: Reply = constant(500, "5.5.1", "Command not recognized");
export const BAD_ARGUMENTS: Reply = constant(501, "5.5.4", "Syntax error in parameters or arguments");
// RFC 2034 §4: answers to EHLO and HELO carry no enhanced status.
export const BAD_GREETING: Reply = constant(501, undefined, "Syntax: EHLO domain");
export const BAD_SENDER: Reply = constant(501, "5.1.7", "Bad sender address syntax");
export const BAD_RECIPIENT: Reply = constant(501, "5.1.3", "Bad recipient address syntax");
export const BAD_BASE64: Reply = constant(501, "5.5.2", "Cannot decode authentication response");
export const AUTH_CANCELLED: Reply = constant(501, "5.7.0", "Authentication cancelled");
export const NOT_IMPLEMENTED: Reply = constant(502, "5.5.1", "Command not implemented");
export const BAD_SEQUENCE: Reply = constant(503, "5.5.1", "Bad sequence of commands");
export const EHLO_FIRST: Reply = constant(503, "5.5.1", "Send EHLO or HELO first");
export const MAIL_FIRST: Reply = constant(503, "5.5.1", "Need MAIL command");
export const RCPT_FIRST: Reply = constant(503, "5.5.1", "No valid recipients");
export const UNKNOWN_MECHANISM: Reply = constant(504, "5.5.4", "Unrecognized authentication mechanism");
export const TLS_FIRST: Reply = constant(530, "5.7.0", "Must issue a STARTTLS command first");
export const AUTH_FIRST: Reply = constant(530, "5.7.0", "Authentication required");
// RFC 8689 §4.2.1 and RFC 5248 5.7.10.
export const REQUIRETLS_NEEDS_TLS: Reply = constant(530, "5.7.10", "REQUIRETLS needs an encrypted session");
export const WRONG_CREDENTIALS: Reply = constant(535, "5.7.8", "Authentication credentials invalid");
export const AUTH_NEEDS_TLS: Reply = constant(538, "5.7.11", "Encryption required for authentication");
export const LINE_OF_DATA_TOO_LONG: Reply = constant(
  550,
  "5.6.0",
  "Message contains a line of over 998 octets",
);
export const BARE_CR_OR_LF: Reply = constant(550, "5.6.11", "Message contains bare CR, bare LF or NUL");
export const MESSAGE_TOO_BIG: Reply = constant(552, "5.3.4", "Message size exceeds the limit");
export const NEEDS_SMTPUTF8: Reply = constant(553, "5.6.7", "Address needs SMTPUTF8");
export const TALKED_TOO_SOON: Reply = constant(554, "5.5.0", "Command sent before the greeting");
export const BEHIND_STARTTLS: Reply = constant(554, "5.5.0", "Command sent before the TLS handshake");
export const NOT_SMTP: Reply = constant(554, "5.5.1", "This is an SMTP server");
export const UNKNOWN_PARAMETER: Reply = constant(555, "5.5.4", "Parameter not recognized or not implemented");
