package menu

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
)

const maxTemplate = 500 // characters

// Template is a text that names parameters and fields: a small part of text/template, so that a person who checks a menu
// sees at once what a confirm can say. The zero value is no text.
type Template struct {
	words   lang.Words
	zh, en  *filling // nil when the text has nothing to fill in
	current []string
	params  []string
}

// Data is what a template can name: {{.param}}, {{.current.field}}, {{.user}} and {{.name}} of the person. A parameter
// called user or name hides the person's.
type Data struct {
	Params  map[string]any
	Current map[string]string
	Person  wire.Person
}

// Words is the template as it is written.
func (t Template) Words() lang.Words { return t.words }

// Params are the parameters that the template names in any language, sorted.
func (t Template) Params() []string { return t.params }

// Text fills the template in, in a language or the one there is. A field that current does not have is an error of the
// kind NotFound.
func (t Template) Text(in lang.Tag, d Data) (string, error) {
	filled := t.zh
	if in == lang.English && t.words.EN != "" || t.words.ZH == "" {
		filled = t.en
	}
	if filled == nil {
		return t.words.In(in), nil
	}
	data := make(map[string]any, len(d.Params)+3)
	data["user"], data["name"] = d.Person.User, d.Person.Name
	for k, v := range d.Params {
		data[k] = v
	}
	data[currentName] = d.Current
	var b strings.Builder
	if err := filled.template().Execute(&b, data); err != nil {
		return "", fault.Wrap(fault.NotFound, err, "fill in")
	}
	return b.String(), nil
}

const currentName = "current"

// filling is one text that has something to fill in. It is made executable when it is wanted for the first time: of a
// large menu most never are.
type filling struct {
	tree *parse.Tree
	once sync.Once
	run  *template.Template
}

// functions are those that templates may call; len counts characters, as people do.
var functions = map[string]any{"len": utf8.RuneCountInString}

func (f *filling) template() *template.Template {
	f.once.Do(func() {
		t := template.New("").Option("missingkey=error").Funcs(functions)
		f.run = template.Must(t.AddParseTree("", f.tree)) // fails for names that clash, and there is one
	})
	return f.run
}

const calls = "eq, ne, lt, gt, le, ge, and, or, not, len, printf"

// templateWords are the functions that the parser shall know; which may be called, templateCheck says.
var templateWords = map[string]any{
	"and": 0, "or": 0, "not": 0, "len": 0, "printf": 0, "eq": 0, "ne": 0, "lt": 0, "le": 0, "gt": 0, "ge": 0,
}

func (r *reader) template(n *yaml.Node, what string, sc *scope) Template {
	t := Template{words: r.Words(n, what, maxTemplate)}
	c := &templateCheck{sc: sc}
	t.zh = r.filling(n, what, t.words.ZH, c)
	t.en = r.filling(n, what, t.words.EN, c)
	slices.Sort(c.current)
	slices.Sort(c.params)
	t.current, t.params = slices.Compact(c.current), slices.Compact(c.params)
	return t
}

func (r *reader) filling(n *yaml.Node, what, src string, c *templateCheck) *filling {
	if !strings.Contains(src, "{{") || utf8.RuneCountInString(src) > maxTemplate {
		return nil
	}
	f, ok := r.templates[src]
	if !ok {
		trees, err := parse.Parse("", src, "{{", "}}", templateWords)
		switch {
		case err != nil:
			text := strings.TrimPrefix(err.Error(), "template: :1: ")
			if strings.HasSuffix(text, "not defined") {
				text += "; there are " + calls
			}
			r.Add(n, "%s: %s", what, text)
			return nil
		case len(trees) != 1 || trees[""] == nil || trees[""].Root == nil:
			r.Add(n, "%s: define and block are not allowed", what)
			return nil
		}
		f = &filling{tree: trees[""]}
		r.templates[src] = f
	}
	c.bad = nil
	c.list(f.tree.Root)
	for _, bad := range c.bad {
		r.Add(n, "%s: %s", what, bad)
	}
	return f
}

// kind is what a part of a template gives.
type kind string

const (
	isText kind = "a text"
	isInt  kind = "a whole number"
	isBool kind = "true or false"
	isAny  kind = "a text, a number, or true or false"
	isBad  kind = "" // a mistake was noted
	isNone kind = "nothing"
)

// templateCheck makes sure that filling in cannot fail but for a missing field of current.
type templateCheck struct {
	sc      *scope
	current []string
	params  []string
	bad     []string
}

func (c *templateCheck) add(format string, args ...any) kind {
	c.bad = append(c.bad, fmt.Sprintf(format, args...))
	return isBad
}

func (c *templateCheck) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.TextNode, *parse.CommentNode:
		case *parse.ActionNode:
			c.pipe(n.Pipe)
		case *parse.IfNode:
			c.pipe(n.Pipe)
			c.list(n.List)
			c.list(n.ElseList)
		default:
			c.add("%s is not allowed; use {{.param}}, {{.current.field}}, {{if …}}, {{else}} and {{end}}", n)
		}
	}
}

func (c *templateCheck) pipe(p *parse.PipeNode) kind {
	if len(p.Decl) > 0 {
		return c.add("%s: variables are not allowed", p)
	}
	k := isNone
	for _, cmd := range p.Cmds {
		k = c.command(cmd, k)
	}
	return k
}

// command checks one part of a pipeline; piped is what the part before it gives.
func (c *templateCheck) command(cmd *parse.CommandNode, piped kind) kind {
	id, ok := cmd.Args[0].(*parse.IdentifierNode)
	if !ok {
		if len(cmd.Args) > 1 || piped != isNone {
			return c.add("%s takes no arguments", cmd.Args[0])
		}
		return c.arg(cmd.Args[0])
	}
	var kinds []kind
	for _, a := range cmd.Args[1:] {
		kinds = append(kinds, c.arg(a))
	}
	if piped != isNone {
		kinds = append(kinds, piped)
	}
	if slices.Contains(kinds, isBad) {
		return isBad
	}
	return c.call(cmd, id.Ident, kinds)
}

func (c *templateCheck) arg(n parse.Node) kind {
	switch n := n.(type) {
	case *parse.FieldNode:
		return c.field(n)
	case *parse.PipeNode:
		return c.pipe(n)
	case *parse.StringNode:
		return isText
	case *parse.BoolNode:
		return isBool
	case *parse.NumberNode:
		if n.IsInt {
			return isInt
		}
		return c.add("%s must be a whole number", n)
	}
	return c.add("%s is not allowed; use {{.param}} or {{.current.field}}", n)
}

func (c *templateCheck) field(f *parse.FieldNode) kind {
	switch {
	case len(f.Ident) == 1 && f.Ident[0] != currentName:
		name := f.Ident[0]
		if p := c.sc.find(name); p != nil {
			c.params = append(c.params, name)
			if p.Kind == Int {
				return isInt
			}
			return isText
		}
		if name == "user" || name == "name" {
			return isText
		}
		return c.add("no earlier step sets the param %q", name)
	case len(f.Ident) == 2 && f.Ident[0] == currentName:
		c.current = append(c.current, f.Ident[1])
		if !paramForm.ok(f.Ident[1]) {
			return c.add("the field %q must match %s", f.Ident[1], paramForm)
		}
		if !c.sc.current {
			return c.add("{{%s}} needs a confirm with a question (current)", f)
		}
		return isText
	}
	return c.add("{{%s}} is not allowed; use {{.param}} or {{.current.field}}", f)
}

func (c *templateCheck) call(cmd *parse.CommandNode, name string, args []kind) kind {
	switch name {
	case "and", "or":
		if len(args) == 0 {
			return c.add("%s needs arguments", cmd)
		}
		for _, k := range args {
			if k != args[0] {
				return isAny
			}
		}
		return args[0]
	case "not":
		if len(args) != 1 {
			return c.add("%s needs one argument", cmd)
		}
		return isBool
	case "len":
		if len(args) != 1 || args[0] != isText {
			return c.add("%s needs a text", cmd)
		}
		return isInt
	case "eq", "ne", "lt", "le", "gt", "ge":
		return c.compare(cmd, name, args)
	case "printf":
		return c.printf(cmd, args)
	}
	return c.add("%s is not a function; there are %s", name, calls)
}

func (c *templateCheck) compare(cmd *parse.CommandNode, name string, args []kind) kind {
	if len(args) < 2 || len(args) > 2 && name != "eq" {
		return c.add("%s needs two arguments", cmd)
	}
	for _, k := range args {
		switch {
		case k != args[0]:
			return c.add("%s compares %s with %s", cmd, args[0], k)
		case k == isAny || k == isBool && name != "eq" && name != "ne":
			return c.add("%s cannot compare %s", cmd, k)
		}
	}
	return isBool
}

// printf checks the verbs against the arguments. The widths are short, so that a text stays one.
func (c *templateCheck) printf(cmd *parse.CommandNode, args []kind) kind {
	if len(cmd.Args) < 2 {
		return c.add("%s: printf needs a text in quotes first", cmd)
	}
	format, ok := cmd.Args[1].(*parse.StringNode)
	if !ok {
		return c.add("%s: printf needs a text in quotes first", cmd)
	}
	args = args[1:]
	rest := format.Text
	for {
		_, after, found := strings.Cut(rest, "%")
		if !found {
			break
		}
		if rest, found = strings.CutPrefix(after, "%"); found {
			continue
		}
		after = strings.TrimLeft(after, "-+0")
		width := len(after) - len(strings.TrimLeft(after, "0123456789"))
		if width > 2 || width == len(after) || !strings.Contains("sdqv", after[width:width+1]) {
			return c.add("%s: printf knows %%s, %%d, %%q and %%v, with at most two digits of width", cmd)
		}
		verb := after[width]
		rest = after[width+1:]
		if len(args) == 0 {
			return c.add("%s: the text takes more values than there are", cmd)
		}
		if verb == 'd' && args[0] != isInt || (verb == 's' || verb == 'q') && args[0] != isText {
			return c.add("%s: %%%c does not fit %s", cmd, verb, args[0])
		}
		args = args[1:]
	}
	if len(args) > 0 {
		return c.add("%s: there are more values than the text takes", cmd)
	}
	return isText
}
