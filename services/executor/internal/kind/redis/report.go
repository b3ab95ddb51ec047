package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"palmops/libs/fault"
	"palmops/libs/wire"
	"palmops/services/executor/internal/kind"
	"palmops/services/executor/internal/phone"
)

// report is what one report needs.
type report struct {
	*server
	work kind.Work
	hand kind.Hand
}

// finding is what a report says: a sentence, and what is printed below it.
type finding struct{ text, output string }

// reports are the verbs that only read and print.
var reports = map[string]func(context.Context, report) (finding, error){
	verbInfo:    info,
	verbSlowlog: slowlog,
	verbBigKeys: bigKeys,
	verbMemory:  memory,
	verbCommand: command,
}

func (r report) say(key string, args ...any) string { return texts.Say(r.work.Lang, key, args...) }

func (k *Kind) report(ctx context.Context, w kind.Work, hand kind.Hand) kind.Result {
	s, err := k.server(w.Action)
	if err != nil {
		return kind.Failed(fault.SafeIn(err, w.Lang))
	}
	var f finding
	if err = ctx.Err(); err == nil {
		f, err = reports[w.Action.Verb](ctx, report{s, w, hand})
	}
	if err == nil {
		return kind.Result{State: wire.StateSucceeded, Text: f.text, Output: strings.TrimRight(f.output, "\n")}
	}
	if ctx.Err() != nil {
		say := func(key string, args ...any) string { return texts.Say(w.Lang, key, args...) }
		return kind.Unread(ctx, say("report.canceled"), say("report.lost"), say("report.late", int(w.Timeout.Seconds())))
	}
	return kind.Failed(fault.SafeIn(explain(err, w.Lang, s.Name), w.Lang))
}

// each runs fn for every node, and writes a node's name above what it says where there are several.
func (r report) each(ctx context.Context, fn func(node) (string, error)) (string, error) {
	nodes, err := r.nodes(ctx)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, n := range nodes {
		s, err := fn(n)
		if err != nil {
			return "", err
		}
		if n.name != "" {
			fmt.Fprintf(&out, "%s\n", r.say("report.node", n.name))
		}
		out.WriteString(strings.TrimRight(s, "\n") + "\n")
	}
	return out.String(), nil
}

// slowlog shows the newest commands that were slow by the server's own measure.
func slowlog(ctx context.Context, r report) (finding, error) {
	n := 0
	out, err := r.each(ctx, func(one node) (string, error) {
		now, err := one.c.Time(ctx).Result()
		if err != nil {
			return "", err
		}
		log, err := one.c.SlowLogGet(ctx, 25).Result()
		if err != nil {
			return "", err
		}
		var rows [][]string
		for _, l := range log {
			n++
			rows = append(rows, []string{phone.Span(now.Sub(l.Time)), phone.Span(l.Duration), phone.Line(line(l.Args), 60), l.ClientAddr})
		}
		if len(rows) == 0 {
			return r.say("slowlog.none"), nil
		}
		return phone.Table([]string{r.say("head.ago"), r.say("head.took"), r.say("head.command"), r.say("head.client")}, rows), nil
	})
	if n == 0 && err == nil {
		return finding{text: r.say("slowlog.none")}, nil
	}
	return finding{r.say("slowlog.some", n), out}, err
}

// memory shows where the memory is, and what the server itself says about it.
func memory(ctx context.Context, r report) (finding, error) {
	out, err := r.each(ctx, func(one node) (string, error) {
		pairs, err := one.c.Do(ctx, "MEMORY", "STATS").Slice()
		if err != nil {
			return "", err
		}
		stats := figures{}
		for i := 0; i+1 < len(pairs); i += 2 {
			stats[fmt.Sprint(pairs[i])] = fmt.Sprint(pairs[i+1])
		}
		doctor, err := one.c.Do(ctx, "MEMORY", "DOCTOR").Text()
		if err != nil {
			return "", err
		}
		all := stats.whole("total.allocated")
		lines := []string{
			r.say("memory.total", phone.Bytes(all), phone.Bytes(stats.whole("peak.allocated"))),
			r.say("memory.data", phone.Bytes(stats.whole("dataset.bytes")), phone.Percent(stats.number("dataset.bytes"), float64(all)), phone.Count(stats.whole("keys.count")),
				phone.Bytes(stats.whole("keys.bytes-per-key"))),
			r.say("memory.clients", phone.Bytes(stats.whole("clients.normal")+stats.whole("clients.slaves")), phone.Bytes(stats.whole("replication.backlog")), phone.Bytes(stats.whole("aof.buffer"))),
			r.say("memory.fragmentation", stats.number("fragmentation"), phone.Bytes(stats.whole("fragmentation.bytes"))),
		}
		if said := phone.Line(doctor, 600); said != "" {
			lines = append(lines, r.say("memory.doctor", said))
		}
		return strings.Join(lines, "\n"), nil
	})
	return finding{r.say("memory.head", r.Name), out}, err
}

// key is one key and what it takes.
type key struct {
	name, kind string
	bytes      int64
}

const (
	topKeys   = 20
	scanCount = 200 // keys asked for at once
)

// bigKeys looks at some of the keys, never at all at once, and shows those that take most memory. It stops at a number of keys and
// before the action's time is up, and says how far it came.
func bigKeys(ctx context.Context, r report) (finding, error) {
	limit := int64(defaultScan)
	if n, given := r.work.Args["keys"].(int64); given {
		limit = n
	}
	end := time.Now().Add(r.work.Timeout * 8 / 10)
	if d, ok := ctx.Deadline(); ok {
		end = time.Now().Add(time.Until(d) * 8 / 10)
	}
	nodes, err := r.nodes(ctx)
	if err != nil {
		return finding{}, err
	}
	var seen, total int64
	var top []key
	for i, n := range nodes {
		size, err := n.c.DBSize(ctx).Result()
		if err != nil {
			return finding{}, err
		}
		total += size
		share := (limit - seen) / int64(len(nodes)-i)
		err = r.scan(ctx, n, share, end, func(keys []key, looked int) {
			seen += int64(looked)
			top = largest(append(top, keys...))
			r.hand.Progress(r.say("bigkeys.progress", phone.Count(uint64(seen))))
		})
		if err != nil {
			return finding{}, err
		}
	}
	if len(top) == 0 {
		return finding{text: r.say("bigkeys.none")}, nil
	}
	var rows [][]string
	for _, k := range top {
		rows = append(rows, []string{phone.Bytes(uint64(max(k.bytes, 0))), k.kind, k.name})
	}
	return finding{
		r.say("bigkeys.some", len(top), phone.Count(uint64(seen)), phone.Count(uint64(total))),
		phone.Table([]string{r.say("head.size"), r.say("head.type"), r.say("head.key")}, rows),
	}, nil
}

// scan walks over the keys of a node until there are no more, enough of them, or no time, and hands them on in lots.
func (r report) scan(ctx context.Context, n node, limit int64, end time.Time, got func(keys []key, looked int)) error {
	var cursor uint64
	var seen int64
	for seen < limit && time.Now().Before(end) {
		if err := ctx.Err(); err != nil {
			return err
		}
		names, next, err := n.c.Scan(ctx, cursor, "", min(scanCount, limit-seen)).Result()
		if err != nil {
			return err
		}
		sizes, types := make([]*redis.IntCmd, len(names)), make([]*redis.StatusCmd, len(names))
		_, err = n.c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, name := range names {
				sizes[i], types[i] = p.MemoryUsage(ctx, name, 5), p.Type(ctx, name)
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) { // a key that is gone by now has no size
			return err
		}
		keys := make([]key, 0, len(names))
		for i, name := range names {
			if sizes[i].Err() == nil {
				keys = append(keys, key{name, types[i].Val(), sizes[i].Val()})
			}
		}
		seen += int64(len(names))
		got(keys, len(names))
		if cursor = next; cursor == 0 {
			break
		}
	}
	return nil
}

// largest keeps the largest keys, each once: a scan may show one twice.
func largest(keys []key) []key {
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.name, b.name))
	})
	keys = slices.CompactFunc(keys, func(a, b key) bool { return a.name == b.name })
	return slices.Clone(keys[:min(len(keys), topKeys)])
}

// command runs what the catalog fixes, if the server agrees that it only reads.
func command(ctx context.Context, r report) (finding, error) {
	set, ok := r.work.Action.Settings.(Command)
	if !ok || len(set.Argv) == 0 {
		return finding{}, fault.New(fault.Internal, "action %s has no command", r.work.Action.Name)
	}
	argv := set.elements(r.work.Args)
	keyed := ""
	if i := keyOf(argv); i < len(argv) {
		keyed = argv[i]
	}
	n, err := r.keeper(ctx, keyed)
	if err != nil {
		return finding{}, err
	}
	if err := r.onlyReads(ctx, n, argv); err != nil {
		return finding{}, err
	}
	reply, err := n.c.Do(ctx, anys(argv)...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return finding{}, err
	}
	out := lines(reply)
	if count := strings.Count(out, "\n") + 1; count > maxLines {
		return finding{r.say("command.more", phone.Line(line(argv), 80), maxLines, count), strings.Join(strings.SplitN(out, "\n", maxLines+1)[:maxLines], "\n")}, nil
	}
	return finding{r.say("command.done", phone.Line(line(argv), 80)), out}, nil
}

// keyOf is the place of the first key, which says where in a cluster a command goes.
func keyOf(argv []string) int {
	switch strings.ToUpper(argv[0]) {
	case "OBJECT", "XINFO", "MEMORY", "SINTERCARD", "ZINTERCARD", "ZDIFF", "ZINTER", "ZUNION":
		return 2
	}
	return 1
}

// onlyReads asks the server for its own opinion; one that does not give it, or does not know the command, is no reason to refuse.
func (r report) onlyReads(ctx context.Context, n node, argv []string) error {
	names := []any{"COMMAND", "INFO", argv[0]}
	if len(argv) > 1 {
		names = append(names, argv[0]+"|"+argv[1])
	}
	reply, err := n.c.Do(ctx, names...).Slice()
	if err != nil && replied(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, one := range reply {
		about, _ := one.([]any)
		if len(about) < 3 {
			continue
		}
		flags, _ := about[2].([]any)
		for _, f := range flags {
			if f == "write" || f == "blocking" || f == "pubsub" {
				return fault.WithText(fault.New(fault.Denied, "the server says that %s is %v", argv[0], f), r.say("command.writes", phone.Line(argv[0], 40)))
			}
		}
	}
	return nil
}

// lines writes a reply as a person reads it: a line for each element, those of lists in lists with their numbers before them.
func lines(reply any) string {
	var out []string
	var add func(v any, prefix string)
	add = func(v any, prefix string) {
		list, ok := v.([]any)
		if !ok {
			out = append(out, prefix+value(v))
			return
		}
		if len(list) == 0 {
			out = append(out, prefix+"(empty)")
		}
		for i, e := range list {
			add(e, prefix+strconv.Itoa(i+1)+") ")
		}
	}
	add(reply, "")
	return strings.Join(out, "\n")
}

func value(v any) string {
	switch x := v.(type) {
	case nil:
		return "(nil)"
	case string:
		return phone.Line(x, 400)
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1e15 {
			return strconv.FormatInt(int64(x), 10)
		}
	}
	return phone.Line(fmt.Sprint(v), 400)
}
