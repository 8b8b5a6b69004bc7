# Read by the first process of a test machine, in place of the acts: isolates that whole machine, at the root of its control groups, with a
# wire to another network namespace. Everything here is a socket of the isolated machine, so each end must be allowed to see the other.

# check NAME COMMAND…: what the command says of itself is a line of the results.
check() {
	local name=$1
	shift
	if "$@" >/run/check 2>&1; then say "check $name ok"; else say "check $name failed: $(tail -n 1 /run/check)"; fi
}

not() { ! "$@"; }
far() { nsenter -t $far_pid -n "$@"; }
# A word said to the far end comes back. Nothing for three seconds is a cut: these are emulated machines, but answers take some milliseconds.
reaches() { [ "$(echo word | timeout 3 nc -w 3 "$1" 900)" = word ]; }
answers() { grep -q "$1" /run/answer; }
isolate() { kestrel isolate "$@" --data /run/data --agent 127.0.0.1:8490; }
in_group() { sh -c 'echo $$ >/sys/fs/cgroup/inner/cgroup.procs; echo word | timeout 3 nc -w 3 10.78.0.2 900 | grep -q word'; }
in_namespace() { far sh -c 'echo word | timeout 3 nc -w 3 10.78.0.1 900 | grep -q word'; }
dropped() { [ "$(isolate status | sed -nE 's/^dropped +out: ([0-9]+) .*/\1/p')" -gt "$1" ]; }

start_agent() {
	kestrel run --rules /rules --data /run/data --json >/run/alerts 2>/run/log &
	agent=$!
	wait_for 120 grep -q ' armed ' /run/log
}

insmod /veth.ko
mkdir /sys/fs/cgroup/inner
unshare -n sleep 3600 &
far_pid=$!
# The other end of the wire is the kernel's to name.
ip link add wire type veth
ip link set veth0 netns $far_pid
ip link set wire up
far ip link set veth0 up
far ip link set lo up
echo 0 >/proc/sys/net/ipv6/conf/wire/accept_dad
far sh -c 'echo 0 >/proc/sys/net/ipv6/conf/veth0/accept_dad'
for net in 77 78; do
	ip address add 10.$net.0.1/24 dev wire
	far ip address add 10.$net.0.2/24 dev veth0
done
ip address add fd77::1/64 dev wire
far ip address add fd77::2/64 dev veth0
nc -ll -p 900 -e cat &
far nc -ll -p 900 -e cat &
start_agent

for address in 10.77.0.2 10.78.0.2 fd77::2; do check "open-before-$address" wait_for 20 reaches $address; done
mkfifo /run/words
nc 10.78.0.2 900 </run/words >/run/answer &
exec 5<>/run/words
echo first >&5
check connection-before wait_for 20 answers first
check on isolate on --allow 10.77.0.0/24
check whole-machine sh -c "kestrel isolate status --json --data /run/data | grep -q '\"state\":\"on\".*\"scope\":\"machine\"'"
check named reaches 10.77.0.2
check loopback reaches 127.0.0.1
check own-address reaches 10.78.0.1
check cut not reaches 10.78.0.2
check cut-ipv6 not reaches fd77::2
check cut-in-a-group not in_group
check cut-in-a-namespace not in_namespace
echo second >&5
check counted wait_for 20 dropped 0
check alert wait_for 20 grep -q '"id":"kestrel.self.isolation"' /run/alerts
kill -KILL $agent
wait $agent
check agent-gone not reaches 10.78.0.2
check agent-gone-connection not answers second
check agent-gone-named reaches 10.77.0.2
start_agent
check restarted-cut not reaches 10.78.0.2
check off isolate off
check connection-again wait_for 60 answers second
for address in 10.78.0.2 fd77::2; do check "open-again-$address" wait_for 20 reaches $address; done
check on-again isolate on
kill -TERM $agent
wait $agent
check stopped-cut not reaches 10.77.0.2
rm -r /sys/fs/bpf/kestrel
check by-hand reaches 10.77.0.2
sed 's/^/@@ log /' /run/log >&3
say "done $(cut -d' ' -f1 /proc/uptime)"
poweroff -f
sleep 60
