package command

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/lang"
	dialog "palmops/services/dialog/app"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// busFlags is dialFlags for commands about the menus that are kept.
func busFlags(f *flag.FlagSet) func(ctx context.Context) (*dialog.Revisions, error) {
	dial := dialFlags(f)
	return func(ctx context.Context) (*dialog.Revisions, error) {
		b, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		r, err := dialog.RevisionsOn(ctx, b)
		if err != nil {
			b.Close()
		}
		return r, err
	}
}

// menuRevisions lists the menus that are kept.
func menuRevisions(ctx context.Context, s Streams, args []string) error {
	f := flags(s, "menu revisions")
	open := busFlags(f)
	if err := noArgs(f, args); err != nil {
		return err
	}
	r, err := open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	list, err := r.List(ctx)
	if err != nil {
		return err
	}
	for _, e := range list {
		mark := " "
		if e.Current {
			mark = "*"
		}
		fmt.Fprintf(s.Out, "%s %s  %s  %7d bytes  by %s\n", mark, e.Rev, e.At.Local().Format("2006-01-02 15:04:05"), e.Bytes, e.By)
	}
	return nil
}

// menuRollback makes an older menu count again.
func menuRollback(ctx context.Context, s Streams, args []string) error {
	f := flags(s, "menu rollback")
	open := busFlags(f)
	rest, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return errors.New("one revision is needed; `palmops menu revisions` lists them")
	}
	r, err := open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	before, err := r.Rollback(ctx, rest[0], who())
	var ps conf.Problems
	switch {
	case fault.Is(err, fault.NotFound), errors.As(err, &ps):
		return refuse(err)
	case err != nil:
		return err
	}
	fmt.Fprintf(s.Out, "ok: menu %s counts instead of %s. New conversations begin with it; open ones end on the menu they began with.\n"+
		"The menu file was not changed: a later change of it, or a reload, makes the file count again.\n", rest[0], before)
	return nil
}

// who is the person at the command line, for the list of revisions.
func who() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// menuDiff says what changed between two menus.
func menuDiff(ctx context.Context, s Streams, args []string) error {
	f := flags(s, "menu diff")
	open := busFlags(f)
	rest, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(rest) != 2 {
		return errors.New("two menus are needed, each a revision or a file")
	}
	var menus [2]*menu.Menu
	for i, name := range rest {
		if menus[i], err = menuOf(ctx, name, open); err != nil {
			return err
		}
	}
	var changes bytes.Buffer
	if err := menu.WriteDiff(&changes, menus[0], menus[1]); err != nil {
		return err
	}
	if changes.Len() == 0 {
		changes.WriteString("no difference\n")
	}
	_, err = s.Out.Write(changes.Bytes())
	return err
}

// menuOf is a menu by file name, or else by revision.
func menuOf(ctx context.Context, name string, open func(context.Context) (*dialog.Revisions, error)) (*menu.Menu, error) {
	if strings.ContainsAny(name, "./"+string(filepath.Separator)) {
		m, err := menu.Load(name, menu.BuildOptions{Nodes: dialog.NodeNames()})
		return m, refuse(err)
	}
	r, err := open(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	m, err := r.Menu(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return nil, refuse(err)
	}
	return m, err
}

// menuShow prints the tree, whole or as one person sees it.
func menuShow(ctx context.Context, s Streams, args []string) error {
	f := flags(s, "menu show")
	dir := f.String("config", "deployments/config/local", "folder with menu.yaml and policy.yaml")
	menuFile := f.String("menu", "", "menu file (default: menu.yaml of the folder)")
	policyFile := f.String("policy", "", "policy file (default: policy.yaml of the folder)")
	rev := f.String("rev", "", "a kept revision instead of the file")
	form := f.String("format", "text", "text, mermaid or svg")
	in := f.String("lang", "zh", "zh or en")
	open := busFlags(f)
	var someone personFlags
	f.StringVar(&someone.user, "user", "", "only what this person sees now (default: everything)")
	f.Var(&someone.departments, "department", "department id of the user, with those above it; may be given again; the directory is not asked then")
	f.Var(&someone.tags, "tag", "tag id of the user, may be given again; the directory is not asked then")
	if err := noArgs(f, args); err != nil {
		return err
	}
	file := *menuFile
	if file == "" {
		file = filepath.Join(*dir, "menu.yaml")
	}
	name := file
	if *rev != "" {
		name = *rev
	} else if !strings.ContainsAny(name, "./"+string(filepath.Separator)) {
		name = "./" + name
	}
	m, err := menuOf(ctx, name, open)
	if err != nil {
		return err
	}
	see := func(*menu.Node) bool { return true }
	if someone.user != "" {
		pfile := *policyFile
		if pfile == "" {
			pfile = filepath.Join(*dir, "policy.yaml")
		}
		if see, err = sees(ctx, someone, *dir, pfile, m); err != nil {
			return err
		}
	}
	out, err := menu.Draw(m, *form, see, lang.Of(*in))
	if err != nil {
		return err
	}
	_, err = s.Out.Write(out)
	return err
}

// sees says which nodes a person is shown now. A condition on what is only asked on the way is taken to hold.
func sees(ctx context.Context, someone personFlags, dir, policyFile string, m *menu.Menu) (func(*menu.Node) bool, error) {
	p, err := policy.Load(policyFile)
	if err != nil {
		return nil, refuse(err)
	}
	if err := p.Validate(m); err != nil {
		return nil, refuse(err)
	}
	who, err := someone.find(ctx, dir, p.Tags())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	lens := p.Bind(m).For(who.person, now)
	return func(n *menu.Node) bool {
		if n.Parent == nil {
			return true
		}
		vars := menu.Vars{Person: who.person, At: now.In(m.Zone), Env: n.Env}
		return lens.Sees(n) && (len(n.Parent.Params) > 0 || n.When.Holds(vars))
	}, nil
}
