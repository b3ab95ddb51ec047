package command

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"palmops/libs/conf"
	dialog "palmops/services/dialog/app"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// menuWalk plays inputs against the menu with the code that serves real conversations.
func menuWalk(ctx context.Context, s Streams, args []string) error {
	f := flags(s, "menu walk")
	dir := f.String("config", "deployments/config/local", "folder with menu.yaml, policy.yaml and answers.yaml, and for the directory simulator.yaml or gateway.yaml")
	menuFile := f.String("menu", "", "menu file (default: menu.yaml of the folder)")
	policyFile := f.String("policy", "", "policy file (default: policy.yaml of the folder)")
	answersFile := f.String("answers", "", "what the executors would answer (default: answers.yaml of the folder)")
	var someone personFlags
	f.StringVar(&someone.user, "user", "zhangsan", "who walks")
	f.Var(&someone.departments, "department", "department id of the walker, with those above it; may be given again; the directory is not asked then")
	f.Var(&someone.tags, "tag", "tag id of the walker, may be given again; the directory is not asked then")
	f.StringVar(&someone.app, "app", "", "app of gateway.yaml whose directory is asked (default: the first)")
	var expect texts
	f.Var(&expect, "expect", "text that the last screens must hold, may be given again; exit 2 when they do not")
	inputs, err := parse(f, args)
	if err != nil {
		return err
	}
	in := func(given, name string) string {
		if given != "" {
			return given
		}
		return filepath.Join(*dir, name)
	}
	var ps conf.Problems
	m, err := menu.Load(in(*menuFile, "menu.yaml"), menu.BuildOptions{Nodes: dialog.NodeNames()})
	ps.Merge(in(*menuFile, "menu.yaml"), err)
	p, err := policy.Load(in(*policyFile, "policy.yaml"))
	ps.Merge(in(*policyFile, "policy.yaml"), err)
	answers, err := loadAnswers(in(*answersFile, "answers.yaml"))
	ps.Merge(in(*answersFile, "answers.yaml"), err)
	if m != nil && p != nil {
		ps.Merge(p.File, p.Validate(m))
	}
	if err := ps.Err(); err != nil {
		return refuse(err)
	}
	who, err := someone.find(ctx, *dir, p.Tags())
	if err != nil {
		return err
	}
	walks, err := dialog.WalkMenu(m, p, who.person, answers, inputs)
	last := ""
	for _, w := range walks {
		last = walked(w)
		fmt.Fprintf(s.Out, "> %s\n%s\n", w.Input, last)
	}
	if err != nil {
		return refuse(fmt.Errorf("%s: %w", in(*answersFile, "answers.yaml"), err))
	}
	for _, e := range expect {
		if !strings.Contains(last, e) {
			return refuse(fmt.Errorf("expected %q on the last screen", e))
		}
	}
	return nil
}

// walked is one answer as plain text, with the order that would have gone out.
func walked(w dialog.Walk) string {
	var b strings.Builder
	for _, sc := range w.Screens {
		for _, line := range append([]string{sc.Note, sc.Title}, sc.Body...) {
			if line != "" {
				b.WriteString("  " + line + "\n")
			}
		}
		for _, c := range sc.Choices {
			b.WriteString(strings.TrimRight("  "+c.Key+". "+c.Label+"  "+c.Detail, " ") + "\n")
		}
		if sc.Pages > 1 {
			fmt.Fprintf(&b, "  第 %d/%d 页\n", sc.Page, sc.Pages)
		}
	}
	if w.Action != "" {
		b.WriteString("  = " + w.Action)
		for _, name := range slices.Sorted(maps.Keys(w.Args)) {
			fmt.Fprintf(&b, " %s=%v", name, w.Args[name])
		}
		if w.Noop {
			b.WriteString(" (dry run)")
		}
		b.WriteString("\n")
	}
	return b.String()
}
