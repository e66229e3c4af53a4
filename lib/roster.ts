/**
 * Roster: who is here now, of those that come and go for as long as the process runs; a Set without what steady-map.ts
 * says of Maps.
 *
 * While it is iterated, members may leave; one that comes is met or not.
 *
 * @module
 */
export class Roster<Member> {
  readonly #members: (Member | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#members.length - this.#free.length;
  }

  /** Its place, for leave(). */
  enter(member: Member): number {
    const place = this.#free.pop() ?? this.#members.length;
    this.#members[place] = member;
    return place;
  }

  /** Once for each that entered. */
  leave(place: number): void {
    this.#members[place] = undefined;
    this.#free.push(place);
  }

  *[Symbol.iterator](): Generator<Member, void, undefined> {
    for (const member of this.#members) if (member !== undefined) yield member;
  }
}
