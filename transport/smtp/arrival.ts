/** Arrival: a connection from its accept to its end, and what it holds meanwhile. */
import type { Socket } from "node:net";
import type { Roster } from "../../lib/roster.ts";
import type { RunningSession } from "./accept.ts";
import type { Place } from "./limits.ts";

/** What an arrival tells when it comes, is refused, and goes. */
export interface Door {
  /** Every connection accepted and not yet gone, session or not, refused or not. */
  readonly arrivals: Roster<Arrival>;
  /** How many were refused and still read why. */
  refused: number;
}

const GONE = new Error("The connection is gone");

export class Arrival {
  readonly socket: Socket;
  readonly declaredPort: number;
  /** Among all connections of the transport. */
  place: Place | undefined;
  /** Among the sessions of its connector and of its source. */
  seat: Place | undefined;
  session: RunningSession | undefined;
  readonly #door: Door;
  readonly #at: number;
  #gone: AbortController | undefined;
  #isOver = false;
  #isRefused = false;

  /** From here on an error of the socket is only its end, and its end is noticed. */
  constructor(door: Door, socket: Socket, declaredPort: number) {
    this.socket = socket;
    this.declaredPort = declaredPort;
    this.#door = door;
    this.#at = door.arrivals.enter(this);
    // "close" follows, and that is where everything is released.
    socket.on("error", ignore);
    // It comes once: nothing needs to take the listener away.
    socket.on("close", () => this.#end());
  }

  /** Aborted when the socket is gone. */
  get gone(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController();
      if (this.#isOver) this.#gone.abort(GONE);
    }
    return this.#gone.signal;
  }

  /** It takes no place of those that are served any more. */
  refuse(): void {
    this.#isRefused = true;
    this.#door.refused++;
    this.place?.release();
  }

  #end(): void {
    const door = this.#door;
    this.#isOver = true;
    door.arrivals.leave(this.#at);
    if (this.#isRefused) door.refused--;
    this.place?.release();
    this.seat?.release();
    this.#gone?.abort(GONE);
  }
}

function ignore(): void {}
