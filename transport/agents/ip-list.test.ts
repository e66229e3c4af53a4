import { describe, expect, test } from "vitest";
import { createIpList } from "./ip-list.ts";

describe("createIpList()", () => {
  const isListed = createIpList([
    { range: "192.0.2.0/24" },
    { range: "198.51.100.7", expires: "2026-01-01T00:00:00Z" },
    { range: "198.51.100.0/24", expires: "2027-01-01T00:00:00Z" },
    { range: "not a range" },
  ]);
  test.each([
    { name: "a client in a range is listed", client: "192.0.2.9", year: 2030, want: true },
    { name: "its mapped form is the same client", client: "::ffff:192.0.2.9", year: 2030, want: true },
    { name: "a client outside is not", client: "192.0.3.9", year: 2030, want: false },
    { name: "of two entries the later expiry counts", client: "198.51.100.7", year: 2026.5, want: true },
    { name: "after that the client is free", client: "198.51.100.7", year: 2027.5, want: false },
    { name: "text that is no address is on no list", client: "", year: 2030, want: false },
  ])("$name, asked once and again", ({ client, year, want }) => {
    const now = Date.UTC(Math.floor(year), (year % 1) * 12);
    expect([isListed(client, now), isListed(client, now)]).toEqual([want, want]);
  });

  test("many clients are asked for without one answer being another's", () => {
    const answers = Array.from({ length: 25_000 }, (_, n) => isListed(`192.0.${n >> 8}.${n & 255}`, 0));
    expect(answers.filter(Boolean)).toHaveLength(256);
  });
});
