package mysql

import (
	"context"
	"strconv"
	"strings"

	"palmops/libs/lang"
	"palmops/services/executor/internal/phone"
)

// errSyntax is what an older server says to a newer form of a statement.
const errSyntax = 1064

// replication says how the server follows its sources, and how many follow it.
func replication(ctx context.Context, r report) (finding, error) {
	var channels []map[string]string
	var err error
	forms := []string{"SHOW REPLICA STATUS", "SHOW SLAVE STATUS"}
	if r.maria {
		forms = []string{"SHOW ALL REPLICAS STATUS", "SHOW ALL SLAVES STATUS"}
	}
	for _, form := range forms {
		if channels, err = r.named(ctx, form); number(err) != errSyntax {
			break
		}
	}
	if err != nil {
		return finding{}, err
	}
	followers, err := r.texts(ctx, "SELECT HOST FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")
	if err != nil {
		return finding{}, err
	}
	var lines []string
	ill := 0
	for _, c := range channels {
		said, well := channelLines(c, r.lang())
		lines = append(lines, said...)
		if !well {
			ill++
		}
	}
	switch {
	case len(channels) == 0 && len(followers) == 0:
		return finding{text: r.say("replication.none")}, nil
	case len(channels) == 0:
		return finding{text: r.say("replication.source", len(followers))}, nil
	case len(followers) > 0:
		lines = append(lines, r.say("replication.source", len(followers)))
	}
	head := r.say("replication.well", len(channels))
	if ill > 0 {
		head = r.say("replication.ill", ill, len(channels))
	}
	return finding{head, strings.Join(lines, "\n")}, nil
}

// channelLines say how one source is followed, from the row that the server shows, whose columns have changed their names over
// the years. Well means that both threads run.
func channelLines(row map[string]string, t lang.Tag) (lines []string, well bool) {
	first := func(names ...string) string {
		for _, n := range names {
			if v := row[n]; v != "" {
				return v
			}
		}
		return ""
	}
	say := func(key string, args ...any) { lines = append(lines, texts.Say(t, key, args...)) }
	name := first("connection_name", "channel_name")
	io, sql := first("replica_io_running", "slave_io_running"), first("replica_sql_running", "slave_sql_running")
	well = io == "Yes" && sql == "Yes"
	say("replication.channel", phone.Line(strings.TrimSpace(name+" "+first("source_host", "master_host")), 60), first("source_port", "master_port"))
	say("replication.threads", phone.Line(io, 20), phone.Line(sql, 20))
	lag := first("seconds_behind_source", "seconds_behind_master")
	if n, err := strconv.ParseInt(lag, 10, 64); err == nil {
		say("replication.lag", phone.Span(seconds(n)))
	} else {
		say("replication.no_lag")
	}
	for _, e := range []string{first("last_io_error"), first("last_sql_error")} {
		if e != "" {
			well = false
			say("replication.error", phone.Line(e, 200))
		}
	}
	return lines, well
}
