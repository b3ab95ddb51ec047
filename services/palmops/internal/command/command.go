// Package command holds the subcommands of palmops. A command reads its flags and its streams and touches nothing
// else of the process, so that tests can run it.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Streams are what a command reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// The exit codes.
const (
	ExitFine    = 0
	ExitFailed  = 1
	ExitRefused = 2 // refused, or not found, by a check
)

// refusal is an error that a check meant to find: the command worked, its subject is not acceptable.
type refusal struct{ err error }

func (r refusal) Error() string { return r.err.Error() }
func (r refusal) Unwrap() error { return r.err }

func refuse(err error) error {
	if err == nil {
		return nil
	}
	return refusal{err}
}

type command struct {
	name string // one or two words
	args string
	does string
	run  func(ctx context.Context, s Streams, args []string) error
}

func commands() []command {
	list := []command{
		{"run", "[flags]", "run everything in this process, with a phone to try it at", runAll},
		{"sim", "--user ID", "chat with the simulator from this terminal", chat},
		{"check", "[flags]", "hold menu, policy and catalog against each other", check},
		{"menu walk", "INPUT… [--expect TEXT]", "walk the menu offline and print every screen", menuWalk},
		{"menu show", "[--user ID] [flags]", "draw the menu: text, Mermaid or SVG", menuShow},
		{"menu diff", "OLD NEW", "say what changed between two menus, each a revision or a file", menuDiff},
		{"menu revisions", "[flags]", "list the menus that are kept on the bus", menuRevisions},
		{"menu rollback", "REV [flags]", "make an older menu count again, in all dialogs", menuRollback},
		{"schema", "menu|policy|catalog", "print the JSON Schema of a file, for editors", schema},
		{"policy test", "--user ID --action NAME [flags]", "explain what the policy allows a person, and why", policyTest},
		{"actions list", "[flags]", "list orders and what has become of them, newest first", actionsList},
		{"actions show", "ID [flags]", "show one action: its record, and the steps of a workflow", actionsShow},
		{"actions cancel", "ID --keys FILE [flags]", "cancel an action in the name of the person who ordered it", actionsCancel},
		{"doctor", "[flags]", "look at a running system and say what is wrong", doctor},
		{"token sign", "--key KEY [flags]", "sign the JSON value on standard input, as itsdangerous does", tokenSign},
		{"token verify", "--key KEY [flags]", "verify the token on standard input and print its JSON value", tokenVerify},
		{"wecom verify", "[flags]", "check a callback URL or a callback's signature", wecomVerify},
		{"wecom decrypt", "[flags]", "verify and decrypt a callback body on standard input", wecomDecrypt},
		{"wecom encrypt", "[flags]", "encrypt and sign the text on standard input as WeCom would", wecomEncrypt},
		{"keys init", "[flags]", "make the keys of a zone, for services that run alone", keysInit},
		{"version", "", "print version, revision and Go version", version},
	}
	for _, s := range services() {
		list = append(list, command{s.Name, "[--config FILE]", "run the " + s.Name + " alone", serve(s)})
	}
	return list
}

// Main runs the subcommand that args name and returns the exit code.
func Main(ctx context.Context, s Streams, args []string) int {
	cmd, rest := find(args)
	if cmd == nil {
		return usage(s, args)
	}
	err := cmd.run(ctx, s, rest)
	var refused refusal
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return ExitFine
	case errors.As(err, &refused):
		fmt.Fprintln(s.Err, err)
		return ExitRefused
	default:
		fmt.Fprintln(s.Err, "palmops "+cmd.name+": "+err.Error())
		return ExitFailed
	}
}

func find(args []string) (*command, []string) {
	all := commands()
	for i := range all {
		words := strings.Fields(all[i].name)
		if len(args) >= len(words) && strings.Join(args[:len(words)], " ") == all[i].name {
			return &all[i], args[len(words):]
		}
	}
	return nil, nil
}

// usage lists the commands, as the answer to a person who asked, or to a command that does not exist.
func usage(s Streams, args []string) int {
	out, code := s.Out, ExitFine
	if len(args) > 0 && !slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		out, code = s.Err, ExitFailed
		// Only the words: behind a misspelt command may stand a flag with a secret.
		words := args[:1]
		if len(args) > 1 && !strings.HasPrefix(args[1], "-") {
			words = args[:2]
		}
		fmt.Fprintf(out, "palmops: no command %q\n", strings.Join(words, " "))
	}
	fmt.Fprint(out, "palmops 掌上运维: operations from a phone, inside a WeCom chat\n\nusage: palmops COMMAND [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(out, "  %-40s %s\n", strings.TrimSpace(c.name+" "+c.args), c.does)
	}
	fmt.Fprintln(out, "\n`palmops COMMAND -h` shows a command's flags.\nexit codes: 0 fine, 1 failed, 2 refused or not found by a check")
	return code
}

// flags makes a flag set whose errors and help go to the command's own streams.
func flags(s Streams, name string) *flag.FlagSet {
	f := flag.NewFlagSet("palmops "+name, flag.ContinueOnError)
	f.SetOutput(s.Err)
	f.Usage = func() {
		for _, c := range commands() {
			if c.name == name {
				fmt.Fprintf(s.Err, "usage: %s\n%s\n\n", strings.TrimSpace("palmops "+c.name+" "+c.args), c.does)
			}
		}
		f.PrintDefaults()
	}
	return f
}

// parse reads flags wherever they stand between the other arguments, which it returns.
func parse(f *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			return rest, nil
		}
		// "--" ends the flags; flag has dropped it from Args already.
		if n := len(args) - f.NArg(); n > 0 && args[n-1] == "--" {
			return append(rest, f.Args()...), nil
		}
		rest = append(rest, f.Arg(0))
		args = f.Args()[1:]
	}
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// noArgs is parse for commands that take flags only.
func noArgs(f *flag.FlagSet, args []string) error {
	rest, err := parse(f, args)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("unexpected argument %q", rest[0])
	}
	return err
}

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, ",") }
func (t *texts) Set(v string) error { *t = append(*t, v); return nil }
