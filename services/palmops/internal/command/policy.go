package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// policyTest explains one decision of the policy: who the person is, what each grant and freeze says, and the verdict.
func policyTest(ctx context.Context, s Streams, args []string) error {
	var in policyInput
	f := flags(s, "policy test")
	f.StringVar(&in.dir, "config", "deployments/config/local", "folder with menu.yaml and policy.yaml, and for the directory simulator.yaml or gateway.yaml")
	f.StringVar(&in.menuFile, "menu", "", "menu file (default: menu.yaml of the folder)")
	f.StringVar(&in.policyFile, "policy", "", "policy file (default: policy.yaml of the folder)")
	f.StringVar(&in.person.user, "user", "", "who asks (needed)")
	f.Var(&in.person.departments, "department", "department id of the user, with those above it; may be given again; the directory is not asked then")
	f.Var(&in.person.tags, "tag", "tag id of the user, may be given again; the directory is not asked then")
	f.StringVar(&in.person.app, "app", "", "app of gateway.yaml whose directory is asked (default: the first)")
	f.StringVar(&in.action, "action", "", "action such as k8s.scale (default: whatever --node is about)")
	f.StringVar(&in.node, "node", "", "id of the menu's node, with all below it (default: every node with the action)")
	f.Var(&in.args, "arg", "argument as name=value, may be given again")
	f.StringVar(&in.at, "at", "", `when, as "2026-11-23 10:00" in the policy's zone or in RFC 3339 (default: now)`)
	f.BoolVar(&in.all, "all", false, "show also the grants and roles that have nothing to do with it")
	if err := noArgs(f, args); err != nil {
		return err
	}
	t, err := in.load()
	if err != nil {
		return err
	}
	who, err := in.person.find(ctx, in.dir, t.policy.Tags())
	if err != nil {
		return err
	}
	t.person = who.person
	if !t.explain(s.Out, who) {
		return refuse(fmt.Errorf("refused: %s may not do that", who.person.User))
	}
	return nil
}

// policyInput is what the flags say.
type policyInput struct {
	dir, menuFile, policyFile string
	person                    personFlags
	action, node, at          string
	args                      texts
	all                       bool
}

// policyCase is what is tested.
type policyCase struct {
	menu   *menu.Menu
	policy *policy.Policy
	person wire.Person
	roads  []*menu.Node
	args   map[string]string
	at     time.Time
	all    bool
}

func (in *policyInput) load() (*policyCase, error) {
	switch {
	case in.person.user == "":
		return nil, errors.New("--user is missing")
	case in.action == "" && in.node == "":
		return nil, errors.New("--action or --node is missing")
	}
	file := func(given, name string) string {
		if given != "" {
			return given
		}
		return filepath.Join(in.dir, name)
	}
	t := &policyCase{args: map[string]string{}, at: time.Now(), all: in.all}
	var ps conf.Problems
	var err error
	menuFile, policyFile := file(in.menuFile, "menu.yaml"), file(in.policyFile, "policy.yaml")
	t.menu, err = menu.Load(menuFile, menu.BuildOptions{})
	ps.Merge(menuFile, err)
	t.policy, err = policy.Load(policyFile)
	ps.Merge(policyFile, err)
	if t.menu != nil && t.policy != nil {
		ps.Merge(policyFile, t.policy.Validate(t.menu))
	}
	if err := ps.Err(); err != nil {
		return nil, err
	}
	if in.at != "" {
		if t.at, err = policy.ParseTime(in.at, t.policy.Zone); err != nil {
			return nil, fmt.Errorf("--at: %q is not a time such as %q or RFC 3339", in.at, "2026-11-23 10:00")
		}
	}
	for _, a := range in.args {
		name, value, ok := strings.Cut(a, "=")
		if _, twice := t.args[name]; !ok || name == "" || twice {
			return nil, fmt.Errorf("--arg %q: it must be name=value, each name once", a)
		}
		t.args[name] = value
	}
	if t.roads, err = in.roads(t.menu); err != nil {
		return nil, err
	}
	for name := range t.args {
		if !slices.ContainsFunc(t.roads, func(n *menu.Node) bool { src, _ := n.Deed(); _, has := src.Args[name]; return has }) {
			return nil, fmt.Errorf("--arg %s: no node here gives its action such an argument", name)
		}
	}
	return t, nil
}

// roads are the nodes that the question is about.
func (in *policyInput) roads(m *menu.Menu) ([]*menu.Node, error) {
	top := m.Root
	if in.node != "" {
		if top = m.Node(in.node); top == nil {
			return nil, fmt.Errorf("--node: the menu %s has no item with the id %q", m.File, in.node)
		}
		top = top.Target() // rights are those of what a link leads to
	}
	var roads []*menu.Node
	var walk func(n *menu.Node)
	walk = func(n *menu.Node) {
		src, _ := n.Deed()
		if len(n.Steps) > 0 && len(n.Items) == 0 && (in.action == "" || src.Action == in.action) {
			roads = append(roads, n)
		}
		for _, child := range n.Items {
			walk(child)
		}
	}
	walk(top)
	switch {
	case len(roads) > 0:
		return roads, nil
	case in.action == "":
		return nil, fmt.Errorf("--node: there is nothing to do at %s", in.node)
	case in.node != "":
		return nil, fmt.Errorf("nothing at %s, or below it, is about the action %q", in.node, in.action)
	}
	return nil, fmt.Errorf("no node of %s is about the action %q", m.File, in.action)
}

// explain prints everything, and reports whether one of the roads is allowed.
func (t *policyCase) explain(out io.Writer, who found) bool {
	fmt.Fprintf(out, "person   %s\n         %s\n", who, who.source)
	for _, note := range who.notes {
		fmt.Fprintf(out, "         %s\n", note)
	}
	fmt.Fprintf(out, "time     %s %s\n", t.at.In(t.policy.Zone).Format("Mon 2006-01-02 15:04:05"), t.policy.Zone)
	title := "roles   "
	for _, m := range t.policy.Memberships(t.person) {
		if m.Has || t.all {
			fmt.Fprintf(out, "%s %s %s: %s\n", title, yesNo(m.Has), m.Role, m.Why)
			title = "        "
		}
	}
	if strings.TrimSpace(title) != "" {
		fmt.Fprintf(out, "%s none\n", title)
	}
	bound := t.policy.Bind(t.menu)
	allowed := 0
	for _, n := range t.roads {
		if t.road(out, bound, n) {
			allowed++
		}
	}
	verdict := "refused"
	if allowed > 0 {
		verdict = "allowed"
	}
	if len(t.roads) > 1 {
		verdict += fmt.Sprintf(", at %d of %s", allowed, counted(len(t.roads), "node"))
	}
	fmt.Fprintf(out, "\nverdict  %s\n", verdict)
	return allowed > 0
}

func (t *policyCase) road(out io.Writer, bound *policy.Bound, n *menu.Node) bool {
	var way []string
	for a := n; a.Parent != nil; a = a.Parent {
		way = append(way, a.Title.In(lang.English))
	}
	slices.Reverse(way)
	src, deed := n.Deed()
	fmt.Fprintf(out, "\nnode     %s  %s\n", n.ID, strings.Join(way, " / "))
	if n.Env != "" {
		fmt.Fprintf(out, "         environment %s\n", n.Env)
	}
	if deed {
		fmt.Fprintf(out, "         %s\n", src.Action)
	} else {
		fmt.Fprintln(out, "         shows something, and needs no action")
	}
	args, conflict := t.arguments(src)
	for _, name := range sortedKeys(src.Args) {
		switch v, known := args[name]; {
		case known && t.fixed(src, name):
			fmt.Fprintf(out, "         %s=%v, written in the menu\n", name, v)
		case known:
			fmt.Fprintf(out, "         %s=%v\n", name, v)
		default:
			fmt.Fprintf(out, "         %s not given\n", name)
		}
	}
	if conflict != "" {
		fmt.Fprintf(out, "  => refused: %s\n", conflict)
		return false
	}
	x := bound.Explain(t.person, t.at, n, args)
	hidden := 0
	for _, v := range x.Grants {
		if !v.Near && !t.all {
			hidden++
			continue
		}
		fmt.Fprintf(out, "  %s grant in line %d, role %s: %s\n", yesNo(v.Allows), v.Line, v.Role, v.Why)
	}
	if hidden > 0 {
		fmt.Fprintf(out, "      %s of other roles about other things; --all shows them\n", counted(hidden, "grant"))
	}
	for _, v := range x.Freezes {
		mark := "    "
		if v.Stops {
			mark = "stop"
		}
		fmt.Fprintf(out, "  %s freeze %s in line %d: %s\n", mark, v.Name, v.Line, v.Why)
	}
	if d := x.Decision; d.Allowed {
		fmt.Fprintf(out, "  => allowed: role %s, %s\n", d.Role, d.Why)
	} else {
		fmt.Fprintf(out, "  => refused: %s\n", d.Why)
	}
	return x.Decision.Allowed
}

// arguments are those of the flags that the road gives its action, and those that the menu writes. Conflict says that the
// road cannot be what was asked for.
func (t *policyCase) arguments(src menu.Source) (args map[string]any, conflict string) {
	args = map[string]any{}
	for _, name := range sortedKeys(src.Args) {
		given, ok := t.args[name]
		if ok {
			args[name] = given
		}
		if t.fixed(src, name) {
			args[name] = src.Args[name].Literal
			if ok && fmt.Sprint(args[name]) != given {
				conflict = fmt.Sprintf("the menu itself sets %s to %v here", name, args[name])
			}
		}
	}
	for _, name := range sortedKeys(t.args) {
		if _, has := src.Args[name]; !has {
			conflict = fmt.Sprintf("%s has no argument %s here", src.Action, name)
		}
	}
	return args, conflict
}

func (t *policyCase) fixed(src menu.Source, name string) bool {
	a := src.Args[name]
	return a.Param == "" && a.Current == ""
}

func yesNo(yes bool) string {
	if yes {
		return "yes "
	}
	return "no  "
}
