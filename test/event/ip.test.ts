// One text for one address.
import { expect, test } from "bun:test";
import { canonicalIp, formatIp, parseIp } from "#event";

const CASES: readonly (readonly [text: string, canonical: string | undefined])[] = [
  ["10.0.0.1", "10.0.0.1"],
  ["0.0.0.0", "0.0.0.0"],
  ["255.255.255.255", "255.255.255.255"],
  ["256.0.0.1", undefined],
  ["10.0.0", undefined],
  ["10.0.0.1.2", undefined],
  ["010.0.0.1", undefined],
  ["10..0.1", undefined],
  ["", undefined],
  ["::", "::"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::ffff:c000:201", "192.0.2.1"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["fe80::1%eth0", "fe80::1"],
  ["1:2:3:4:5:6:7:8:9", undefined],
  ["1::2::3", undefined],
  ["1:2:3:4:5:6:7", undefined],
  ["12345::", undefined],
  [":::", undefined],
  ["g::", undefined],
  ["1.2.3.4::", undefined],
  ["x".repeat(100_000), undefined],
];

for (const [text, canonical] of CASES) {
  test(`ip ${text.slice(0, 40) || "(empty)"}`, () => {
    expect(canonicalIp(text)).toBe(canonical);
    if (canonical !== undefined) expect(canonicalIp(canonical)).toBe(canonical);
  });
}

test("bytes of an address print as its text", () => {
  const bytes = new Uint8Array(16);
  expect(parseIp("2001:db8::5", bytes)).toBe(6);
  expect(formatIp(bytes, 0, 16)).toBe("2001:db8::5");
  expect(parseIp("::ffff:10.1.2.3", bytes)).toBe(4);
  expect(formatIp(bytes, 0, 4)).toBe("10.1.2.3");
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3);
  expect(formatIp(mapped, 0, 16)).toBe("10.1.2.3");
});
