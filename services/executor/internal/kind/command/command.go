// Package command is the kind of actions that run a program on the executor's machine: no shell, an absolute path, each
// argument in one element of its own, a user of its own, an environment of its own, and nothing left running at the end.
package command

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/executor/catalog"
	"palmops/services/executor/internal/fill"
	"palmops/services/executor/internal/kind"
)

//go:embed texts.yaml
var textsFile []byte

var texts = lang.MustLoad(textsFile)

// Kind is the kind command over all its actions of one catalog.
type Kind struct {
	host string
	euid int                 // of this executor
	as   map[string]identity // by action

	mu      sync.Mutex
	secrets map[string]bool // all values of private files so far
}

var _ kind.Kind = (*Kind)(nil)

// New makes the kind for a catalog. The error is of type conf.Problems: a user whom this machine does not know or this executor
// cannot become, root without the catalog's leave, a private file that cannot be read.
func New(c *catalog.Catalog) (*Kind, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the machine's name")
	}
	k := &Kind{host: host, euid: os.Geteuid(), as: map[string]identity{}, secrets: map[string]bool{}}
	var ps conf.Problems
	for _, a := range c.Actions() {
		set, ok := a.Settings.(Settings)
		if a.Kind != Name || !ok {
			continue
		}
		who, err := identify(set.User, set.Root, k.euid)
		if err != nil {
			ps.Add(c.File, a.Line, "action %s: %v", a.Name, err)
		}
		k.as[a.Name] = who
		if _, err := k.environment(set, ""); err != nil {
			ps.Add(c.File, a.Line, "action %s: %v", a.Name, err)
		}
	}
	if err := ps.Err(); err != nil {
		return nil, err
	}
	return k, nil
}

// Close does nothing: between actions the kind holds nothing.
func (k *Kind) Close() {}

// Secrets are the values of the private files that commands get in their environment.
func (k *Kind) Secrets() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]string, 0, len(k.secrets))
	for s := range k.secrets {
		out = append(out, s)
	}
	return out
}

// Target is command/ and what the catalog says that the command changes, or else the action's name: an action without on works
// on one thing at a time, whatever its arguments.
func (k *Kind) Target(q kind.Query) string {
	set, _ := q.Action.Settings.(Settings)
	if q.Action.Class != catalog.Change {
		return ""
	}
	if on := set.On.String(q.Args, nil); on != "" {
		return Name + "/" + on
	}
	return Name + "/" + q.Action.Name
}

// environment is what the catalog fixes and what is in the private files now, and the marker of an action.
func (k *Kind) environment(set Settings, id string) ([]string, error) {
	env := []string{}
	for key, value := range set.Env {
		env = append(env, key+"="+value)
	}
	for key, file := range set.EnvFiles {
		data, err := conf.ReadPrivate(file)
		if err != nil {
			return nil, err
		}
		value := strings.TrimRight(string(data), "\r\n")
		if strings.ContainsRune(value, 0) {
			return nil, fault.New(fault.Invalid, "%s holds a NUL", file)
		}
		k.mu.Lock()
		k.secrets[value] = true
		k.mu.Unlock()
		env = append(env, key+"="+value)
	}
	if id != "" {
		env = append(env, marker+"="+id)
	}
	return env, nil
}

// program makes a command of settings and arguments. Errors have texts for the user: Invalid for a value that the program would
// take for an option, Internal for what the catalog has seen to before.
func (k *Kind) program(a catalog.Action, argv []fill.Text, args map[string]any, t lang.Tag, id string) (program, error) {
	set, ok := a.Settings.(Settings)
	who, known := k.as[a.Name]
	if !ok || !known || len(argv) == 0 {
		return program{}, fault.New(fault.Internal, "action %s has no command", a.Name)
	}
	p := program{dir: set.Dir, cred: who.cred, nice: set.Nice, grace: set.Grace, id: id}
	var err error
	if p.argv, err = fillArgv(a, argv, args, t); err != nil {
		return program{}, err
	}
	if p.env, err = k.environment(set, id); err != nil {
		return program{}, fault.WithText(fault.Wrap(fault.Transient, err, "environment of "+a.Name), texts.Say(t, "prepare.secret"))
	}
	return p, nil
}

// fillArgv puts values into their places: each stays inside its element. An element that is one optional argument which is
// not there is left out. What begins with a dash may only stand behind a literal --.
func fillArgv(a catalog.Action, argv []fill.Text, args map[string]any, t lang.Tag) ([]string, error) {
	var out []string
	closed := false // options have ended
	for i, element := range argv {
		text := element.String(args, nil)
		name := element.Only()
		if p, _ := a.Param(name); name != "" && text == "" && p.Optional {
			continue
		}
		if len(element.Names()) == 0 {
			closed = closed || i > 0 && text == "--"
			out = append(out, text)
			continue
		}
		if strings.ContainsRune(text, 0) {
			return nil, fault.WithText(fault.New(fault.Invalid, "element %d of %s holds a NUL", i, a.Name), texts.Say(t, "args.nul"))
		}
		if !closed && element.Literal() == "" && strings.HasPrefix(text, "-") {
			return nil, fault.WithText(fault.New(fault.Invalid, "element %d of %s begins with a dash", i, a.Name), texts.Say(t, "args.dash", short(plain(text))))
		}
		out = append(out, text)
	}
	return out, nil
}

// before is what Probe needs besides the action.
type before struct {
	Host  string `json:"host"`
	State string `json:"state,omitempty"` // what the probe read
}

// maxState bounds what a probe may read, in bytes.
const maxState = 1024

// Prepare makes sure that the program is there, and reads the state that the probe compares with.
func (k *Kind) Prepare(ctx context.Context, w kind.Work) (json.RawMessage, error) {
	set, _ := w.Action.Settings.(Settings)
	p, err := k.program(w.Action, set.Argv, w.Args, w.Lang, w.ID)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(p.argv[0]); err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return nil, fault.WithText(fault.New(fault.NotFound, "%s is no program (%v)", p.argv[0], err), texts.Say(w.Lang, "prepare.gone", p.argv[0], k.host))
	}
	b := before{Host: k.host}
	if set.Probe != nil && set.Probe.Reads {
		if b.State, err = k.state(ctx, w, set); err != nil {
			return nil, fault.WithText(fault.Wrap(fault.Transient, err, "state before "+w.Action.Name), texts.Say(w.Lang, "prepare.state"))
		}
	}
	return json.Marshal(b)
}

// state is what the probe reads.
func (k *Kind) state(ctx context.Context, w kind.Work, set Settings) (string, error) {
	var out bytes.Buffer
	e, err := k.look(ctx, w, set, &limited{w: &out, left: maxState + 1})
	switch {
	case err != nil:
		return "", err
	case e.stopped || e.code != 0:
		return "", fault.New(fault.Transient, "the probe ended with %d (stopped %t)", e.code, e.stopped)
	case out.Len() > maxState:
		return "", fault.New(fault.Invalid, "the probe prints more than %d bytes", maxState)
	}
	return strings.ToValidUTF8(strings.TrimSpace(out.String()), "?"), nil
}

// look runs the probe.
func (k *Kind) look(ctx context.Context, w kind.Work, set Settings, out io.Writer) (ending, error) {
	p, err := k.program(w.Action, set.Probe.Argv, w.Args, w.Lang, rand.Text())
	if err != nil {
		return ending{}, err
	}
	p.grace = readGrace
	return p.run(ctx, out)
}

// readGrace is what a program that only reads gets to end by itself, once nobody waits for it any more.
const readGrace = 200 * time.Millisecond

// limited takes as much as it may, and drops the rest.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Plan says the command as it would run.
func (k *Kind) Plan(_ context.Context, w kind.Work, _ json.RawMessage) (string, error) {
	set, _ := w.Action.Settings.(Settings)
	p, err := k.program(w.Action, set.Argv, w.Args, w.Lang, w.ID)
	if err != nil {
		return "", err
	}
	return texts.Say(w.Lang, "plan.run", k.host, k.as[w.Action.Name].name, int(w.Timeout.Seconds()), shown(p.argv)), nil
}

// shown is a command for people: elements with anything but plain characters stand in quotes.
func shown(argv []string) string {
	var all []string
	for _, s := range argv {
		s = short(s)
		if s == "" || strings.ContainsAny(s, " \t\"'`$&|;<>()*?[]{}~#!\\") || s != plain(s) {
			s = strconv.Quote(s)
		}
		all = append(all, s)
	}
	if r := []rune(strings.Join(all, " ")); len(r) > maxPlan {
		return string(r[:maxPlan]) + "…"
	}
	return strings.Join(all, " ")
}

const maxPlan = 600 // characters

// Answer runs a question's command and reads its lines.
func (k *Kind) Answer(ctx context.Context, q kind.Query) (wire.Answer, error) {
	set, _ := q.Action.Settings.(Settings)
	p, err := k.program(q.Action, set.Argv, q.Args, q.Lang, rand.Text())
	if err != nil {
		return wire.Answer{}, err
	}
	p.grace = readGrace
	var out kind.Capture
	e, err := p.run(ctx, &out)
	say := func(kind fault.Kind, key string, cause error) (wire.Answer, error) {
		return wire.Answer{}, fault.WithText(fault.New(kind, "action %s: %s: %w", q.Action.Name, key, cause), texts.Say(q.Lang, key))
	}
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.EACCES):
		return say(fault.NotFound, "ask.gone", err)
	case err != nil:
		return say(fault.Transient, "ask.start", err)
	case e.stopped:
		return say(fault.Transient, "ask.late", context.Cause(ctx))
	case set.Exit[e.code].Means != meansDone:
		return say(fault.Transient, "ask.failed", fault.New(fault.Transient, "exit code %d, signal %v", e.code, e.signal))
	}
	text, dropped := out.Text()
	var a wire.Answer
	ok := dropped == 0
	switch {
	case !ok:
	case q.Action.Verb == verbList:
		a.Items, ok = items(text)
	case q.Action.Verb == verbFields:
		a.Fields, ok = fields(text)
	default:
		return wire.Answer{}, fault.New(fault.Internal, "command has no question %q", q.Action.Verb)
	}
	if !ok {
		return say(fault.Invalid, "ask.many", fault.New(fault.Invalid, "%d bytes too many, or too many lines", dropped))
	}
	return a, nil
}
