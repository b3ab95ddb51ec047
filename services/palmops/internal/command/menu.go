package command

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"palmops/libs/conf"
	"palmops/libs/wire"
	dialog "palmops/services/dialog/app"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// menuWalk plays inputs against the menu with the code that serves real conversations.
func menuWalk(_ context.Context, s Streams, args []string) error {
	f := flags(s, "menu walk")
	dir := f.String("config", "deployments/config/local", "folder with menu.yaml, policy.yaml and answers.yaml")
	menuFile := f.String("menu", "", "menu file (default: menu.yaml of the folder)")
	policyFile := f.String("policy", "", "policy file (default: policy.yaml of the folder)")
	answersFile := f.String("answers", "", "what the executors would answer (default: answers.yaml of the folder)")
	user := f.String("user", "zhangsan", "who walks")
	var departments texts
	f.Var(&departments, "department", "department id of the walker, may be given again")
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
	person := wire.Person{V: wire.Version, User: strings.ToLower(*user), Found: true, Active: true}
	for _, d := range departments {
		id, err := strconv.ParseInt(d, 10, 64)
		if err != nil {
			return fmt.Errorf("--department %q is not a number", d)
		}
		person.Departments = append(person.Departments, id)
	}
	if err := ps.Err(); err != nil {
		return refuse(err)
	}
	walks, err := dialog.WalkMenu(m, p, person, answers, inputs)
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
		b.WriteString("\n")
	}
	return b.String()
}

// answersDoc is answers.yaml: by action a list, or the fields of one thing.
type answersDoc map[string]struct {
	Items []struct {
		Value  string `yaml:"value"`
		Label  string `yaml:"label"`
		Detail string `yaml:"detail"`
	} `yaml:"items"`
	Fields map[string]string `yaml:"fields"`
}

func loadAnswers(path string) (dialog.Answers, error) {
	var doc answersDoc
	if err := conf.Load(path, &doc); err != nil {
		return nil, err
	}
	answers := dialog.Answers{}
	for action, a := range doc {
		entry := answers[action]
		for _, it := range a.Items {
			entry.Items = append(entry.Items, wire.Item{Value: it.Value, Label: it.Label, Detail: it.Detail})
		}
		entry.Fields = a.Fields
		answers[action] = entry
	}
	return answers, nil
}
