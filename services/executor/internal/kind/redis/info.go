package redis

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"palmops/libs/wire"
	"palmops/services/executor/internal/phone"
)

// figures are what a server says of itself, by name.
type figures map[string]string

// parseInfo reads the answer to INFO: lines of name:value, and headings, which are left out.
func parseInfo(s string) figures {
	f := figures{}
	for l := range strings.Lines(s) {
		name, value, ok := strings.Cut(strings.TrimRight(l, "\r\n"), ":")
		if ok && name != "" && !strings.HasPrefix(name, "#") {
			f[name] = value
		}
	}
	return f
}

func (f figures) number(name string) float64 {
	n, err := strconv.ParseFloat(f[name], 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || n < 0 {
		return 0
	}
	return n
}

func (f figures) whole(name string) uint64 { return uint64(min(f.number(name), 1<<62)) }

// databases are the names of the databases that have keys, in order.
func (f figures) databases() []string {
	var out []string
	for name := range f {
		n, found := strings.CutPrefix(name, "db")
		if _, err := strconv.Atoi(n); found && err == nil {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		x, _ := strconv.Atoi(a[2:])
		y, _ := strconv.Atoi(b[2:])
		return x - y
	})
	return out
}

// keys are how many keys a database has, and how many of them expire.
func (f figures) keys(database string) (keys, expires uint64) {
	for _, part := range strings.Split(f[database], ",") {
		switch name, n, _ := strings.Cut(part, "="); name {
		case "keys":
			keys = unsigned(n)
		case "expires":
			expires = unsigned(n)
		}
	}
	return keys, expires
}

func (n node) info(ctx context.Context) (figures, error) {
	s, err := n.c.Info(ctx).Result()
	return parseInfo(s), err
}

// info is the server on one screen.
func info(ctx context.Context, r report) (finding, error) {
	out, err := r.each(ctx, func(n node) (string, error) {
		f, err := n.info(ctx)
		if err != nil {
			return "", err
		}
		return strings.Join(r.infoLines(f), "\n"), nil
	})
	return finding{r.say("info.head", r.Name), out}, err
}

func (r report) infoLines(f figures) []string {
	limit := r.say("info.unlimited")
	if most := f.whole("maxmemory"); most > 0 {
		limit = phone.Bytes(most)
	}
	hits, misses := f.number("keyspace_hits"), f.number("keyspace_misses")
	out := []string{
		r.say("info.server", phone.Line(f["redis_version"], 20), phone.Line(f["role"], 20), phone.Span(time.Duration(f.whole("uptime_in_seconds"))*time.Second)),
		r.say("info.clients", f.whole("connected_clients"), f.whole("maxclients"), f.whole("blocked_clients")),
		r.say("info.memory", phone.Bytes(f.whole("used_memory")), limit, phone.Bytes(f.whole("used_memory_rss")), phone.Line(f["mem_fragmentation_ratio"], 10)),
		r.say("info.load", f.whole("instantaneous_ops_per_sec"), phone.Percent(hits, hits+misses)),
		r.say("info.lost", phone.Count(f.whole("evicted_keys")), phone.Count(f.whole("expired_keys")), phone.Count(f.whole("rejected_connections"))),
	}
	for _, db := range f.databases() {
		keys, expires := f.keys(db)
		out = append(out, r.say("info.keys", db, phone.Count(keys), phone.Count(expires)))
	}
	switch {
	case f["role"] == "slave" && f["master_link_status"] != "up":
		out = append(out, r.say("info.link_down", phone.Line(f["master_host"], 60)))
	case f["role"] == "slave":
		out = append(out, r.say("info.link", phone.Line(f["master_host"], 60), f.whole("master_last_io_seconds_ago")))
	default:
		out = append(out, r.say("info.replicas", f.whole("connected_slaves")))
	}
	if f["loading"] == "1" {
		out = append(out, r.say("info.loading"))
	}
	for what, name := range map[string]string{"RDB": "rdb_last_bgsave_status", "AOF": "aof_last_write_status"} {
		if s := f[name]; s != "" && s != "ok" {
			out = append(out, r.say("info.unsaved", what))
		}
	}
	return out
}

// shownFields are the figures that the question state gives, by the names of INFO.
var shownFields = []string{
	"redis_version", "role", "uptime_in_seconds", "connected_clients", "blocked_clients", "used_memory", "used_memory_human", "maxmemory", "maxmemory_human",
	"instantaneous_ops_per_sec", "evicted_keys", "connected_slaves", "master_link_status", "rdb_last_bgsave_status",
}

// state gives the figures of the server; of a cluster, those of all masters with their numbers added up where that makes
// sense, and how many there are.
func (s *server) state(ctx context.Context) (wire.Answer, error) {
	nodes, err := s.nodes(ctx)
	if err != nil {
		return wire.Answer{}, err
	}
	sums := map[string]uint64{}
	out := map[string]string{"nodes": strconv.Itoa(len(nodes))}
	for _, n := range nodes {
		f, err := n.info(ctx)
		if err != nil {
			return wire.Answer{}, err
		}
		for _, name := range shownFields {
			if v, there := f[name]; there {
				out[name] = phone.Line(v, 80)
			}
		}
		for _, db := range f.databases() {
			keys, _ := f.keys(db)
			sums["keys"] += keys
		}
		for _, name := range []string{"connected_clients", "blocked_clients", "used_memory", "instantaneous_ops_per_sec", "evicted_keys"} {
			sums[name] += f.whole(name)
		}
	}
	out["keys"] = "0"
	for name, n := range sums {
		out[name] = fmt.Sprint(n)
	}
	if len(nodes) > 1 {
		out["used_memory_human"] = phone.Bytes(sums["used_memory"])
	}
	return wire.Answer{Fields: out}, nil
}
