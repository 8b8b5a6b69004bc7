// The file sensor on this machine's own kernel, beyond plain files: devices that hold data, and files without a name.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { liveSource, refusal } from "./live.ts";

setDefaultTimeout(60_000);
const SETTING = "/proc/sys/vm/memfd_noexec";
const isRoot = process.getuid?.() === 0;
if (refusal !== undefined) console.log(`skipped: the file sensor on the real kernel (${refusal})`);
if (!isRoot) console.log("skipped: devices (not root)");

describe.skipIf(refusal !== undefined)("opened files", () => {
  const { folder, run } = liveSource();

  // A loop device that holds no file can be opened, and nothing is written to it.
  test.skipIf(!isRoot || !Bun.file("/sys/block/loop7/dev").size)(
    "a disk that is opened for writing, not for reading; no other device",
    async () => {
      const script = "mknod disk b 7 7; mknod nothing c 1 3; exec 3<disk 4>>nothing 5>>disk; exit 0";
      const { events } = await run(["sh", "-c", script], "file");
      expect(events.filter((fields) => fields["event.action"] !== "creation")).toMatchObject([
        {
          "event.action": "modification",
          "event.type": ["change"],
          "file.path": join(folder, "disk"),
          "file.type": "block_device",
          "process.name": expect.stringMatching(/sh$/),
        },
      ]);
    },
  );

  // Read and written back as it is.
  test.skipIf(!isRoot || !existsSync(SETTING))("a setting of the kernel whose name begins as that of a process's memory", async () => {
    const { events } = await run(["sh", "-c", `read value <${SETTING}; echo $value >${SETTING}`], "file");
    expect(events).toMatchObject([{ "event.action": "modification", "file.path": SETTING }]);
  });

  test("a file without a name is made, not changed", async () => {
    const { events } = await run(["perl", "-e", 'sysopen(my $file, ".", 0x410002) or die $!'], "file");
    expect(events).toMatchObject([
      { "event.action": "creation", "event.type": ["creation"], "file.directory": folder, "file.name": expect.stringMatching(/^#\d+$/) },
    ]);
  });
});
