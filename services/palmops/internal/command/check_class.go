package command

import (
	"maps"
	"slices"
	"strings"

	"palmops/libs/conf"
	"palmops/libs/wire"
	"palmops/services/dialog/menu"
	"palmops/services/executor/catalog"
)

// useAgainstClass holds the way in which the menu uses an action against what the action does to the world: questions are asked,
// reports are ordered at once, and what changes something is ordered after a confirm.
func useAgainstClass(use menu.Use, a catalog.Action) conf.Problems {
	var ps conf.Problems
	bad := func(format string) { ps.Add(use.File, use.Line, "%s: %s "+format, use.Node, use.Action) }
	switch {
	case use.Read && a.Class == catalog.Change:
		bad("changes something and cannot be asked as a question")
	case use.Read && a.Class == catalog.Report:
		bad("is a report and cannot be asked as a question: order it in a step report")
	case !use.Read && a.Class == catalog.Question:
		bad("only reads and cannot be ordered")
	case use.Report && a.Class == catalog.Change:
		bad("changes something and cannot be a report: it needs a confirm and an action")
	case use.View && !a.Node:
		bad("shows no view and cannot be a custom step")
	case use.Read && !use.View && a.Node:
		bad("shows a view: it can only be a custom step")
	}
	return ps
}

// placeAgainstCatalog finds orders that the menu has in another environment than the catalog, and locks that no environment of
// the catalog has.
func placeAgainstCatalog(m *menu.Menu, use menu.Use, a catalog.Action, home *catalog.Catalog) conf.Problems {
	var ps conf.Problems
	n := m.Node(use.Node)
	if n == nil {
		return nil
	}
	if !use.Read && a.Env != "" && n.Env != "" && a.Env != n.Env {
		ps.Add(use.File, use.Line, "%s: its env is %q, but %s has %s in %q, whose locks would be asked", use.Node, n.Env, home.File, use.Action, a.Env)
	}
	if !slices.Contains([]string{wire.ActionLock, wire.ActionUnlock, wire.ActionLocks}, use.Action) {
		return ps
	}
	for _, src := range sources(n) {
		if src.Line != use.Line || src.Action != use.Action {
			continue
		}
		env, given := src.Args["env"].Literal.(string)
		if !given {
			continue
		}
		place, known := home.Environments[env]
		if !known {
			ps.Add(use.File, use.Line, "%s: %s has no environment %q; there are: %s", use.Node, home.File, env, strings.Join(slices.Sorted(maps.Keys(home.Environments)), ", "))
			continue
		}
		if name, given := src.Args["name"].Literal.(string); given && name != "" && !slices.Contains(place.Locks, name) {
			ps.Add(use.File, use.Line, "%s: the environment %s of %s has no lock %q", use.Node, env, home.File, name)
		}
	}
	return ps
}
