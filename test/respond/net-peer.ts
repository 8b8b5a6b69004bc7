// One end of a network that a test made: echoes what it gets over TCP and UDP, and does what its standard input says, a JSON line each. Run
// inside a network namespace of its own.
import type { Socket, udp } from "bun";

/** What it is told to do. */
export type PeerCommand =
  | { readonly do: "open"; readonly id: string; readonly host: string; readonly port: number }
  | { readonly do: "send"; readonly id: string; readonly text: string }
  | { readonly do: "bind"; readonly id: string; readonly port: number }
  | { readonly do: "datagram"; readonly id: string; readonly host: string; readonly port: number; readonly text: string };

if (import.meta.main) await serve();

async function serve(): Promise<void> {
  const tell = (id: string, said: string): void => void process.stdout.write(`${JSON.stringify({ id, said })}\n`);
  const connections = new Map<string, Socket>();
  const sockets = new Map<string, udp.Socket<"buffer">>();
  const echo = { data: (socket: Socket, bytes: Buffer): void => void socket.write(bytes) };
  const server = Bun.listen({ hostname: "::", port: 0, socket: echo });
  tell("port", String(server.port));
  const act = async (command: PeerCommand): Promise<void> => {
    const { id } = command;
    if (command.do === "send") connections.get(id)?.write(command.text);
    if (command.do === "open") {
      const data = (_: Socket, bytes: Buffer): void => tell(id, bytes.toString());
      const failed = (): void => tell(id, "refused");
      const { host: hostname, port } = command;
      const socket = Bun.connect({ hostname, port, socket: { open: () => tell(id, "open"), data, connectError: failed } });
      connections.set(id, await socket);
    }
    if (command.do === "bind") {
      const data = (_: udp.Socket<"buffer">, bytes: Buffer): void => tell(id, bytes.toString());
      const socket = await Bun.udpSocket({ port: command.port, hostname: "0.0.0.0", socket: { data, error: () => {} } });
      socket.setBroadcast(true);
      sockets.set(id, socket);
      tell(id, "bound");
    }
    if (command.do === "datagram") sockets.get(id)?.send(command.text, command.port, command.host);
  };
  for await (const line of console) act(JSON.parse(line)).catch((error: unknown) => tell("error", String(error)));
}
