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
	executor "palmops/services/executor/app"
	"palmops/services/executor/catalog"
)

// check finds every mistake of a configuration at once: in each file, between them, and what a phone would not show well.
func check(_ context.Context, s Streams, args []string) error {
	f := flags(s, "check")
	dir := f.String("config", "deployments/config/local", "folder with menu.yaml, policy.yaml and catalog.yaml")
	menuFile := f.String("menu", "", "menu file (default: menu.yaml of the folder)")
	policyFile := f.String("policy", "", "policy file (default: policy.yaml of the folder)")
	strict := f.Bool("strict", false, "warnings count as mistakes")
	var catalogs texts
	f.Var(&catalogs, "catalog", "catalog file of an executor pool, may be given again (default: catalog.yaml of the folder)")
	if err := noArgs(f, args); err != nil {
		return err
	}
	in := func(given, name string) string {
		if given != "" {
			return given
		}
		return filepath.Join(*dir, name)
	}
	if len(catalogs) == 0 {
		catalogs = texts{filepath.Join(*dir, "catalog.yaml")}
	}
	var ps conf.Problems
	m, err := menu.Load(in(*menuFile, "menu.yaml"), menu.BuildOptions{Nodes: dialog.NodeNames()})
	ps.Merge(in(*menuFile, "menu.yaml"), err)
	p, err := policy.Load(in(*policyFile, "policy.yaml"))
	ps.Merge(in(*policyFile, "policy.yaml"), err)
	var cats []*catalog.Catalog
	for _, file := range catalogs {
		c, err := catalog.Load(file, executor.Kinds())
		ps.Merge(file, err)
		if err == nil {
			cats = append(cats, c)
		}
	}
	if m != nil && p != nil {
		ps.Merge(p.File, p.Validate(m))
	}
	if m != nil && len(cats) == len(catalogs) {
		ps = append(ps, menuAgainstCatalogs(m, cats)...)
	}
	ps = append(ps, onePerPool(cats)...)
	if p != nil && len(cats) == len(catalogs) {
		ps = append(ps, policyAgainstCatalogs(p, cats)...)
	}
	warnings := 0
	if m != nil {
		for _, finding := range menu.Check(m) {
			if finding.Level == menu.LevelError || *strict {
				ps.Add(finding.File, finding.Line, "%s", finding.Text)
				continue
			}
			warnings++
			fmt.Fprintln(s.Out, finding)
		}
	}
	total := counted(len(ps), "mistake")
	if m == nil || p == nil || len(cats) != len(catalogs) {
		total += " so far: the files with mistakes could not be held against the others"
	}
	if err := ps.Err(); err != nil {
		return refuse(fmt.Errorf("%w\n%s", err, total))
	}
	fmt.Fprintf(s.Out, "ok: %s, revision %s; %s in %s; %s\n",
		counted(m.Len(), "menu node"), m.Rev, counted(countActions(cats), "action"), counted(len(cats), "catalog"), counted(warnings, "warning"))
	return nil
}

func countActions(cats []*catalog.Catalog) (n int) {
	for _, c := range cats {
		n += len(c.Actions())
	}
	return n
}

// onePerPool finds catalogs for the same pool: which of them an order would meet is chance.
func onePerPool(cats []*catalog.Catalog) conf.Problems {
	var ps conf.Problems
	for i, c := range cats {
		for _, earlier := range cats[:i] {
			if c.Zone == earlier.Zone && c.Pool == earlier.Pool {
				ps.Add(c.File, 0, "%s serves zone %q, pool %q already", earlier.File, c.Zone, c.Pool)
			}
		}
	}
	return ps
}

// menuAgainstCatalogs holds every question and order of the menu against the catalog of the pool it goes to.
func menuAgainstCatalogs(m *menu.Menu, cats []*catalog.Catalog) conf.Problems {
	var ps conf.Problems
	for _, use := range m.Uses() {
		var home *catalog.Catalog
		for _, c := range cats {
			if c.Zone == use.Zone && c.Pool == use.Pool {
				home = c
			}
		}
		if home == nil {
			ps.Add(use.File, use.Line, "%s: no catalog serves zone %q, pool %q", use.Node, use.Zone, use.Pool)
			continue
		}
		a, ok := home.Action(use.Action)
		if !ok {
			ps.Add(use.File, use.Line, "%s: %s has no action %q", use.Node, home.File, use.Action)
			continue
		}
		ps = append(ps, useAgainstClass(use, a)...)
		ps = append(ps, placeAgainstCatalog(m, use, a, home)...)
		ps = append(ps, argsAgainstParams(use, a)...)
		ps = append(ps, valuesAgainstParams(m, use, a)...)
	}
	return ps
}

// types says how the menu calls what the catalog's types hold.
var types = map[string]string{menu.Text: catalog.TypeString, menu.Enum: catalog.TypeString, menu.Int: catalog.TypeInt, menu.Bool: catalog.TypeBool}

func argsAgainstParams(use menu.Use, a catalog.Action) conf.Problems {
	var ps conf.Problems
	known := map[string]bool{}
	for _, p := range a.Params {
		known[p.Name] = true
		typ, given := use.Args[p.Name]
		switch {
		case !given && !p.Optional:
			ps.Add(use.File, use.Line, "%s: %s needs the argument %q", use.Node, use.Action, p.Name)
		case given && types[typ] != p.Type:
			ps.Add(use.File, use.Line, "%s: the argument %q of %s must be %s, the menu gives %s", use.Node, p.Name, use.Action, p.Type, typ)
		}
		if r, limited := use.Ranges[p.Name]; limited && p.Type == catalog.TypeInt {
			ps = append(ps, rangeAgainstParam(use, r, p)...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(use.Args)) {
		if !known[name] {
			ps.Add(use.File, use.Line, "%s: %s knows no argument %q", use.Node, use.Action, name)
		}
	}
	return ps
}

// rangeAgainstParam finds numbers that a person may type and the executor would refuse.
func rangeAgainstParam(use menu.Use, r menu.Range, p catalog.Param) conf.Problems {
	var ps conf.Problems
	if p.Min != nil && r.Min < *p.Min {
		ps.Add(use.File, use.Line, "%s: the menu offers %d for the argument %q of %s, the catalog begins at %d", use.Node, r.Min, p.Name, use.Action, *p.Min)
	}
	if p.Max != nil && r.Max > *p.Max {
		ps.Add(use.File, use.Line, "%s: the menu offers %d for the argument %q of %s, the catalog ends at %d", use.Node, r.Max, p.Name, use.Action, *p.Max)
	}
	return ps
}

// policyAgainstCatalogs finds grants that can never allow anything, since no catalog offers the action, or none of the
// actions has the argument.
func policyAgainstCatalogs(p *policy.Policy, cats []*catalog.Catalog) conf.Problems {
	var ps conf.Problems
	for _, g := range p.Grants() {
		params := map[string]bool{}
		all := true
		for _, pattern := range g.Actions {
			found := false
			for _, c := range cats {
				if a, ok := c.Action(pattern); ok { // those that every executor offers are in no file
					found = true
					for _, param := range a.Params {
						params[param.Name] = true
					}
				}
				for _, a := range c.Actions() {
					if pattern != a.Name && (!strings.HasSuffix(pattern, "*") || !strings.HasPrefix(a.Name, strings.TrimSuffix(pattern, "*"))) {
						continue
					}
					found = true
					for _, param := range a.Params {
						params[param.Name] = true
					}
				}
			}
			if !found {
				all = false
				ps.Add(p.File, g.Line, "no catalog offers an action %q", pattern)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(g.Args)) {
			if all && !params[name] {
				ps.Add(p.File, g.Line, "no action of this grant has an argument %q; nothing would be allowed", name)
			}
		}
	}
	return ps
}
