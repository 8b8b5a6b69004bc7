// Layout of the maps of bpf/isolate.h. A test compares the numbers with what a compiled offsetof says. Numbers only.

/** struct isolate_key. */
export const enum AllowKey {
  Prefix = 0,
  Address = 4,
  Size = 20,
}

/** struct isolate_value. */
export const enum AllowValue {
  PortCount = 0,
  Ports = 4,
  Size = 64,
}

/** Limits of the map of allowed networks, and its one flag. */
export const enum Allow {
  NetworksMax = 1024,
  PortsMax = 15,
  /** Bit of a port: it is one of this machine. */
  OwnPort = 0x10000,
}

/** struct isolate_count. */
export const enum Dropped {
  Packets = 0,
  Bytes = 8,
  Size = 16,
}

/** Rows of the counter map. */
export const enum Direction {
  Egress = 0,
  Ingress = 1,
}
