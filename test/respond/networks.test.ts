// Networks that an isolated machine may talk to: what is taken, what is refused with which words, and what the kernel is told.
import { expect, test } from "bun:test";
import { type AllowedNetwork, holds, parseAllowed } from "#respond";
import { entriesOf } from "../../src/respond/networks.ts";

for (const [text, network, port] of [
  ["10.0.0.5", "10.0.0.5/32", undefined],
  ["10.0.0.0/8", "10.0.0.0/8", undefined],
  ["10.0.0.5:443", "10.0.0.5/32", 443],
  ["10.0.0.0/8:65535", "10.0.0.0/8", 65_535],
  ["FD00:0:0::/8", "fd00::/8", undefined],
  ["[fd00::/8]:443", "fd00::/8", 443],
  ["[2001:db8::1]", "2001:db8::1/128", undefined],
  ["2001:db8:0:0:1::1.2.3.4", "2001:db8::1:0:102:304/128", undefined],
] as const) {
  test(`${text} is ${network}${port === undefined ? "" : ` port ${port}`}`, () => {
    expect(parseAllowed(text)).toEqual(port === undefined ? { network } : { network, port });
  });
}

for (const [text, words] of [
  ["10.0.0.5/8", "write 10.0.0.0/8 for the network"],
  ["0.0.0.0/0", "nothing would be isolated"],
  ["::/0", "nothing would be isolated"],
  ["10.0.0.0/33", '"33" is not a prefix length from 1 to 32'],
  ["fd00::/129", "from 1 to 128"],
  ["10.0.0.5:0", '"0" is not a port'],
  ["10.0.0.5:65536", "is not a port"],
  ["10.0.0.5:", "is not a port"],
  ["[fd00::1]:x", "is not a port"],
  ["::ffff:10.0.0.5", "write an IPv4 address as such"],
  ["fe80::1%eth0", "is not an IPv4 or IPv6 address"],
  ["db.example", "names cannot be looked up"],
  ["010.0.0.5", "is not an IPv4"],
  ["", "is not an IPv4"],
] as const) {
  test(`"${text}" is refused: ${words}`, () => {
    expect(() => parseAllowed(text)).toThrow(words);
  });
}

test("an address in a network, also as an IPv6 socket tells it", () => {
  const found = ["10.1.2.3", "::ffff:10.1.2.3", "11.0.0.1", "fd00::1", "no address"].map((address) => holds("10.0.0.0/8", address));
  expect(found).toEqual([true, true, false, false, false]);
  expect(["fd12::3", "fe80::1%eth0", "10.0.0.1"].map((address) => holds("fd00::/8", address))).toEqual([true, false, false]);
  expect(holds("fe80::/10", "fe80::1%eth0")).toBe(true);
});

function told(allowed: readonly AllowedNetwork[]): readonly string[] {
  return entriesOf(allowed).map(
    ({ address, prefixBits, ports }) => `${Buffer.from(address).toString("hex").slice(20)}/${prefixBits} ${ports}`,
  );
}

test("a narrow network is told the ports of the wide ones around it", () => {
  const wide = { network: "10.0.0.0/8" };
  const narrow = { network: "10.1.0.0/16", port: 443 };
  const own = { network: "10.1.2.3/32", ownPort: 8490 };
  expect(told([{ ...wide, port: 53 }, narrow, own])).toEqual([
    "ffff0a000000/104 53",
    "ffff0a010000/112 53,443",
    `ffff0a010203/128 53,443,${0x10000 + 8490}`,
  ]);
  expect(told([narrow, wide, own])).toEqual(["ffff0a010000/112 ", "ffff0a000000/104 ", "ffff0a010203/128 "]);
  expect(told([narrow, { ...narrow, port: 80 }, narrow])).toEqual(["ffff0a010000/112 443,80"]);
});

test("more ports than the kernel's map takes are refused by the name of their network", () => {
  const allowed = Array.from({ length: 16 }, (_, index) => ({ network: "10.0.0.0/8", port: index + 1 }));
  expect(() => entriesOf(allowed)).toThrow('Cannot allow "10.0.0.0/8": 16 ports are allowed with it, at most 15');
});
