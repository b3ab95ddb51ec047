package redis

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/internal/phone"
)

// client is one connection to a server, as CLIENT LIST shows it.
type client struct {
	ID                                  uint64
	Addr, Laddr, Name, User, Cmd, Flags string
	DB                                  string
	Age, Idle                           int64 // seconds
	Memory                              uint64
	Since                               int64 // Unix seconds of the server, about
	node                                string
}

// parseClients reads CLIENT LIST: lines of key=value. Lines without an id are left out.
func parseClients(s string) []client {
	var out []client
	for l := range strings.Lines(s) {
		c := client{}
		for _, field := range strings.Fields(l) {
			key, value, _ := strings.Cut(field, "=")
			switch key {
			case "id":
				c.ID = unsigned(value)
			case "addr":
				c.Addr = value
			case "laddr":
				c.Laddr = value
			case "name":
				c.Name = value
			case "user":
				c.User = value
			case "cmd":
				c.Cmd = value
			case "flags":
				c.Flags = value
			case "db":
				c.DB = value
			case "age":
				c.Age = int64(min(unsigned(value), 1<<40))
			case "idle":
				c.Idle = int64(min(unsigned(value), 1<<40))
			case "tot-mem":
				c.Memory = unsigned(value)
			}
		}
		if c.ID != 0 {
			out = append(out, c)
		}
	}
	return out
}

func unsigned(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// commander is a connection, or a pool of them.
type commander interface {
	Do(ctx context.Context, args ...any) *redis.Cmd
	Time(ctx context.Context) *redis.TimeCmd
}

// list reads the connections of a node, or the one with an id.
func (n node) list(ctx context.Context, id string) ([]client, time.Time, error) {
	return n.listOn(ctx, n.c, id)
}

// listOn is list over a given connection.
func (n node) listOn(ctx context.Context, c commander, id string) ([]client, time.Time, error) {
	now, err := c.Time(ctx).Result()
	if err != nil {
		return nil, now, err
	}
	args := []any{"CLIENT", "LIST"}
	if id != "" {
		args = append(args, "ID", id)
	}
	s, err := c.Do(ctx, args...).Text()
	if err != nil {
		return nil, now, err
	}
	all := parseClients(s)
	for i := range all {
		all[i].node, all[i].Since = n.name, now.Unix()-all[i].Age
	}
	return all, now, nil
}

// link reports whether a connection is part of the replication, which nobody may end here.
func (c client) link() bool { return strings.ContainsAny(c.Flags, "MS") }

func (c client) own() bool { return strings.HasPrefix(c.Name, fencePrefix) }

// value is what kill-client takes.
func (c client) value() string {
	id := strconv.FormatUint(c.ID, 10)
	if c.node == "" {
		return id
	}
	return id + "@" + c.node
}

func (c client) who() string {
	if c.Name != "" {
		return phone.Line(c.Addr+" "+c.Name, 80)
	}
	return phone.Line(c.Addr, 80)
}

func (c client) item(t lang.Tag) wire.Item {
	return wire.Item{Value: c.value(), Label: c.who(), Detail: texts.Say(t, "client.detail", phone.Span(seconds(c.Idle)), phone.Line(c.Cmd, 30), phone.Bytes(c.Memory))}
}

func (c client) fields() map[string]string {
	return map[string]string{
		"id": c.value(), "addr": c.Addr, "laddr": c.Laddr, "name": phone.Line(c.Name, 80), "user": phone.Line(c.User, 80), "command": phone.Line(c.Cmd, 80),
		"db": c.DB, "age": strconv.FormatInt(c.Age, 10), "idle": strconv.FormatInt(c.Idle, 10), "memory": phone.Bytes(c.Memory), "flags": c.Flags,
		"since": strconv.FormatInt(c.Since, 10),
	}
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

// shown are the connections of a person's interest, the one with most memory first.
func shown(all []client) []client {
	all = slices.DeleteFunc(all, func(c client) bool { return c.link() || c.own() || c.Cmd == "client|list" || c.Cmd == "client" })
	slices.SortStableFunc(all, func(a, b client) int {
		if a.Memory != b.Memory {
			if a.Memory > b.Memory {
				return -1
			}
			return 1
		}
		return int(min(max(b.Idle-a.Idle, -1), 1))
	})
	return all[:min(len(all), maxClients)]
}

// splitID takes the value of an item apart.
func splitID(value string) (id, node string) {
	id, node, _ = strings.Cut(value, "@")
	return id, node
}
