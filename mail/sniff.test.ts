import { describe, expect, test } from "vitest";
import { isExecutableType, SniffWindow, sniffType } from "./sniff.ts";

const latin1 = (text: string) => Buffer.from(text, "latin1");
const exe = `MZ\x90\0\x03\0\0\0${"\0".repeat(60)}`;

describe("sniffType()", () => {
  test.each([
    { octets: exe, want: "application/x-msdownload" },
    {
      octets: "MZ Holdings wishes you a happy new year, and all the best from here to there and back",
      want: undefined,
    },
    { octets: "\x7fELF\x02", want: "application/x-executable" },
    { octets: "\xcf\xfa\xed\xfe\x07", want: "application/x-mach-binary" },
    { octets: "#!/bin/sh\n", want: "text/x-shellscript" },
    { octets: "\xef\xbb\xbf#! /usr/bin/env node", want: "text/x-shellscript" },
    { octets: "L\0\0\0\x01\x14\x02\0", want: "application/x-ms-shortcut" },
    { octets: "PK\x03\x04", want: "application/zip" },
    { octets: "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", want: "application/x-ole-storage" },
    { octets: "%PDF-1.7", want: "application/pdf" },
    { octets: "\x89PNG\r\n\x1a\n", want: "image/png" },
    { octets: "\xff\xd8\xff\xe0", want: "image/jpeg" },
    { octets: "GIF89a", want: "image/gif" },
    { octets: "{\\rtf1", want: "application/rtf" },
    { octets: "\x1f\x8b\x08", want: "application/gzip" },
    { octets: "7z\xbc\xaf\x27\x1c", want: "application/x-7z-compressed" },
    { octets: "Rar!\x1a\x07\x00", want: "application/vnd.rar" },
    { octets: " \r\n<!DOCTYPE HTML>", want: "text/html" },
    { octets: "", want: undefined },
    { octets: "just text", want: undefined },
  ])("$octets is $want", ({ octets, want }) => {
    expect(sniffType(latin1(octets))).toBe(want);
  });
});

test("programs are executable, documents are not", () => {
  expect(isExecutableType("application/x-msdownload")).toBe(true);
  expect(isExecutableType("Text/X-ShellScript")).toBe(true);
  expect(isExecutableType("application/pdf")).toBe(false);
});

describe("SniffWindow", () => {
  test.each([1, 7, 512, 40_000])("finds a CD image's mark in pieces of %i octets", (size) => {
    const image = Buffer.alloc(40_000);
    image.write("CD001", 0x8001, "latin1");
    const window = new SniffWindow();
    for (let at = 0; at < image.length; at += size) window.write(image.subarray(at, at + size));
    expect(window.type()).toBe("application/x-iso9660-image");
    expect(window.size).toBe(40_000);
  });

  test.each([1, 3, 5, 1000])("finds a program in pieces of %i octets", (size) => {
    const window = new SniffWindow();
    for (let at = 0; at < exe.length; at += size) window.write(latin1(exe.slice(at, at + size)));
    expect(window.type()).toBe("application/x-msdownload");
  });
});
