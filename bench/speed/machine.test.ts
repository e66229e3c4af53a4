import { describe, expect, test } from "vitest";
import { diskOf } from "./machine.ts";

const MOUNTS = `/dev/vda / ext4 rw,relatime 0 0
tmpfs /tm tmpfs rw 0 0
/dev/vdb /tmp xfs rw 0 0
`;

describe("diskOf()", () => {
  test.each([
    { path: "/var/tmp", want: "ext4 on /dev/vda (rw,relatime)" },
    { path: "/tmp", want: "xfs on /dev/vdb (rw)" },
    { path: "/tmp/x/y", want: "xfs on /dev/vdb (rw)" },
  ])("$path", ({ path, want }) => expect(diskOf(path, MOUNTS)).toBe(want));
});
