package menu

import "slices"

// Use is one place where a menu needs an executor: what its catalog must offer.
type Use struct {
	Node   string
	File   string
	Line   int
	Zone   string
	Pool   string
	Action string
	Read   bool              // a list, a question or a view; it must change nothing
	View   bool              // of a custom step: the answer is a wire.View
	Report bool              // ordered without a confirm: it must be a report, which changes nothing
	Args   map[string]string // argument to type: Text, Int or Bool
	// Ranges are the values that a whole number among the arguments can have. One that the menu does not limit, such as
	// a field of an answer, is missing.
	Ranges map[string]Range
	Fields []string // of the answer, that the menu reads
}

// Range is whole numbers, both ends included.
type Range struct{ Min, Max int64 }

// Arguments that a remote custom step's question has besides those of its source.
const (
	ArgInputs = "inputs"
	ArgLang   = "lang"
)

// Uses lists every use of an executor, in the order of the file.
func (m *Menu) Uses() []Use {
	var uses []Use
	var walk func(n *Node)
	walk = func(n *Node) {
		for _, s := range n.Steps {
			switch {
			case s.Dynamic != nil && s.Dynamic.Source != nil:
				uses = append(uses, n.use(*s.Dynamic.Source, true))
			case s.Confirm != nil && s.Confirm.Current != nil:
				u := n.use(*s.Confirm.Current, true)
				u.Fields = n.CurrentFields()
				uses = append(uses, u)
			case s.Custom != nil && s.Custom.Remote != nil:
				u := n.use(*s.Custom.Remote, true)
				u.View = true
				u.Args[ArgInputs], u.Args[ArgLang] = Text, Text
				uses = append(uses, u)
			case s.Action != nil:
				u := n.use(s.Action.Source, false)
				u.Report = s.Action.Report
				uses = append(uses, u)
			}
		}
		for _, child := range n.Items {
			walk(child)
		}
	}
	walk(m.Root)
	return uses
}

func (n *Node) use(s Source, read bool) Use {
	u := Use{Node: n.ID, File: n.File, Line: s.Line, Zone: s.Zone, Pool: s.Pool, Action: s.Action, Read: read, Args: map[string]string{}}
	limit := func(name string, r Range) {
		if u.Ranges == nil {
			u.Ranges = map[string]Range{}
		}
		u.Ranges[name] = r
	}
	for name, a := range s.Args {
		u.Args[name] = Text
		switch v := a.Literal.(type) {
		case int64:
			u.Args[name] = Int
			limit(name, Range{v, v})
		case bool:
			u.Args[name] = Bool
		}
		if a.Current != "" && a.Int {
			u.Args[name] = Int
		}
		if p := n.param(a.Param); p != nil {
			u.Args[name] = p.Kind
			if in := p.Node.Steps[p.Step].Input; in != nil && p.Kind == Int {
				limit(name, Range{in.Min, in.Max})
			}
		}
	}
	return u
}

// param finds a parameter that is known behind the node's steps.
func (n *Node) param(name string) *Param {
	for i := range n.Params {
		if n.Params[i].Name == name {
			return &n.Params[i]
		}
	}
	return nil
}

// CurrentFields are the fields of the confirm's answer that the road reads, sorted.
func (n *Node) CurrentFields() []string {
	var fields []string
	for _, s := range n.Steps {
		if s.Input != nil && s.Input.Current != "" {
			fields = append(fields, s.Input.Current)
		}
		if s.Confirm != nil {
			fields = append(fields, s.Confirm.Text.current...)
		}
		if s.Action != nil {
			fields = append(fields, s.Action.Title.current...)
			for _, a := range s.Action.Args {
				if a.Current != "" {
					fields = append(fields, a.Current)
				}
			}
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}
