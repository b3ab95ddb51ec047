package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"palmops/libs/bus"
	"palmops/libs/conf"
	"palmops/libs/wire"
	"palmops/services/palmops/internal/survey"
)

// dialFlags adds the flags by which a command finds the running system, as busFlags does, for commands that look at the bus.
func dialFlags(f *flag.FlagSet) func(ctx context.Context) (*bus.Bus, error) {
	url := f.String("nats", "", "address of the bus (default: NATS_URL)")
	creds := f.String("creds", "", "NATS user credentials file")
	return func(ctx context.Context) (*bus.Bus, error) {
		if *url == "" {
			v, err := conf.Env("NATS_URL")
			if err != nil {
				return nil, err
			}
			*url = v
		}
		if *url == "" {
			return nil, errors.New("--nats or NATS_URL must say where the bus is; `palmops run --nats-listen 127.0.0.1:4222` offers one")
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return bus.Connect(ctx, bus.Options{URL: *url, Creds: *creds, Name: "palmops-cli"})
	}
}

// actionsList lists records, newest first, and before them the orders that no executor has seen yet.
func actionsList(ctx context.Context, s Streams, args []string) error {
	f := flags(s, "actions list")
	dial := dialFlags(f)
	state := f.String("state", "", "only actions in this state, such as running or unknown; queued for those that no executor has seen")
	pool := f.String("pool", "", "only this pool: pool, or zone/pool")
	user := f.String("user", "", "only actions of this person")
	limit := f.Int("limit", 20, "at most so many, 1 to 1000")
	if err := noArgs(f, args); err != nil {
		return err
	}
	if *limit < 1 || *limit > 1000 {
		return errors.New("--limit must be 1 to 1000")
	}
	b, err := dial(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	in := func(zone, name string) bool { return *pool == "" || *pool == name || *pool == zone+"/"+name }
	known := map[string]bool{}
	all, err := survey.Records(ctx, b, func(r *wire.Record) bool {
		known[r.ID] = true
		return in(r.Zone, r.Pool) && (*state == "" || r.State == *state) && (*user == "" || strings.EqualFold(r.User, *user))
	})
	if err != nil {
		return err
	}
	var rows [][]string
	if *user == "" && (*state == "" || *state == wire.StateQueued) { // an order's person is known once an executor has verified its token
		orders, err := survey.Orders(ctx, b)
		if err != nil {
			return err
		}
		for _, o := range orders {
			if !known[o.ID] && in(o.Zone, o.Pool) {
				rows = append(rows, []string{o.ID, stamp(o.At.UnixMilli()), wire.StateQueued, "", o.Zone + "/" + o.Pool, o.Action, ""})
			}
		}
		slices.Reverse(rows)
	}
	for _, r := range all {
		name := r.Action
		if r.Noop {
			name += " (dry run)"
		}
		rows = append(rows, []string{r.ID, stamp(r.Created), r.State, r.User, r.Zone + "/" + r.Pool, name, r.Title})
	}
	if len(rows) == 0 {
		fmt.Fprintln(s.Out, "no actions")
		return nil
	}
	return table(s, rows[:min(*limit, len(rows))], len(rows))
}

func table(s Streams, rows [][]string, total int) error {
	w := tabwriter.NewWriter(s.Out, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	if total > len(rows) {
		fmt.Fprintf(w, "%d more; --limit shows them\n", total-len(rows))
	}
	return w.Flush()
}

func stamp(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).Format("2006-01-02 15:04:05")
}

// findAction finds the record of an id or of its beginning, as people read it in the chat.
func findAction(ctx context.Context, b *bus.Bus, id string) (wire.Record, []wire.Record, error) {
	id = strings.ToLower(strings.TrimPrefix(id, "#"))
	if len(id) < 4 {
		return wire.Record{}, nil, errors.New("an id has at least 4 characters")
	}
	var steps []wire.Record
	found, err := survey.Records(ctx, b, func(r *wire.Record) bool {
		if r.Parent != "" && strings.HasPrefix(r.Parent, id) {
			steps = append(steps, *r)
		}
		return strings.HasPrefix(strings.ToLower(r.ID), id)
	})
	switch {
	case err != nil:
		return wire.Record{}, nil, err
	case len(found) == 0:
		return wire.Record{}, nil, refuse(fmt.Errorf("no record of an action %s; `palmops actions list --state queued` shows orders that no executor has seen", id))
	case len(found) > 1:
		return wire.Record{}, nil, refuse(fmt.Errorf("%d actions begin with %s; give more of the id", len(found), id))
	}
	slices.SortFunc(steps, func(a, b wire.Record) int { return int(min(max(a.Created-b.Created, -1), 1)) })
	return found[0], steps, nil
}

// actionsShow prints one record.
func actionsShow(ctx context.Context, s Streams, args []string) error {
	f := flags(s, "actions show")
	dial := dialFlags(f)
	rest, err := parse(f, args)
	if err == nil && len(rest) != 1 {
		err = errors.New("one id is needed; its first characters are enough")
	}
	if err != nil {
		return err
	}
	b, err := dial(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	r, steps, err := findAction(ctx, b, rest[0])
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.Out, 0, 4, 2, ' ', 0)
	line := func(name string, v any) {
		if text := fmt.Sprint(v); text != "" && text != "-" && text != "false" {
			fmt.Fprintf(w, "%s\t%s\n", name, strings.ReplaceAll(text, "\n", "\n\t"))
		}
	}
	line("id", r.ID)
	line("state", r.State)
	line("action", r.Action)
	line("title", r.Title)
	line("arguments", string(r.Args))
	line("dry run", r.Noop)
	line("person", r.User+" ("+r.Corp+"/"+r.App+")")
	line("pool", r.Zone+"/"+r.Pool)
	line("executor", r.Owner)
	line("attempts", r.Attempt)
	line("ordered", stamp(1000*r.IssuedAt))
	line("claimed", stamp(r.Created))
	line("begun", stamp(r.Started))
	line("ended", stamp(r.Ended))
	line("progress", r.Step)
	line("result", r.Summary)
	line("step of", r.Parent)
	for _, file := range []*wire.File{r.Output, r.Image} {
		if file != nil {
			line("stored", fmt.Sprintf("%s, %d bytes", file.Object, file.Size))
		}
	}
	for i, st := range steps {
		line(fmt.Sprintf("step %d", i+1), fmt.Sprintf("%s  %s  %s  %s", st.ID, st.State, st.Action, st.Summary))
	}
	return w.Flush()
}
