package menu

import (
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"palmops/libs/fault"
)

// matcher says whether a typed text has the form that is wanted.
type matcher func(string) bool

// Read checks a typed value. The error has the kind Invalid, and its safe text tells the person what is wanted.
func (in *Input) Read(typed string) (string, error) {
	bad := func(format string, args ...any) (string, error) {
		text := fmt.Sprintf(format, args...)
		return "", fault.WithText(fault.New(fault.Invalid, "input %s: %s", in.Param, text), text)
	}
	switch in.Type {
	case Int:
		n, err := strconv.ParseInt(typed, 10, 64)
		switch {
		case strings.HasPrefix(typed, "+"): // could be meant as "5 more"; targets are absolute
			return bad("请直接输入目标数字，%d 到 %d 之间的整数，不要写加号", in.Min, in.Max)
		case err != nil && strings.TrimLeft(strings.TrimPrefix(typed, "-"), "0123456789") == "" && strings.Trim(typed, "-") != "":
			return bad("数字超出范围，请输入 %d 到 %d 之间的整数", in.Min, in.Max)
		case err != nil:
			return bad("这里需要一个整数，请输入 %d 到 %d 之间的整数", in.Min, in.Max)
		case n < in.Min || n > in.Max:
			return bad("数字超出范围，请输入 %d 到 %d 之间的整数", in.Min, in.Max)
		}
		return strconv.FormatInt(n, 10), nil
	case Enum:
		for _, v := range in.Values {
			if v == typed {
				return v, nil
			}
		}
		return bad("请回复选项前的数字")
	}
	switch {
	case typed == "":
		return bad("内容不能为空")
	case !utf8.ValidString(typed) || strings.ContainsFunc(typed, hidden):
		return bad("内容里有不能使用的字符，请重新输入")
	case utf8.RuneCountInString(typed) > in.MaxLength:
		return bad("内容太长，最多 %d 个字", in.MaxLength)
	case in.match != nil && !in.match(typed):
		if in.Hint != "" {
			return bad("%s", in.Hint)
		}
		return bad("格式不正确，请重新输入")
	}
	return typed, nil
}

// hidden are characters that a reader of the confirm could not see: controls, and what changes the direction of text.
func hidden(r rune) bool {
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// Template is a text with {{.param}} and {{.current.field}} in it. Nothing else of text/template is allowed, so that a
// person who checks a menu sees at once what a confirm will say.
type Template struct {
	text    *template.Template
	current []string
}

func (r *reader) template(n *yaml.Node, what string, sc *scope) Template {
	src := r.Text(n, what, 500)
	if n == nil || src == "" {
		if n != nil && n.Value == "" {
			r.Add(n, "%s is empty", what)
		}
		return Template{}
	}
	t, err := template.New(what).Option("missingkey=error").Parse(src)
	if err != nil {
		r.Add(n, "%s: %v", what, strings.TrimPrefix(err.Error(), "template: "))
		return Template{}
	}
	out := Template{text: t}
	if t.Tree == nil || t.Root == nil {
		r.Add(n, "%s is empty", what)
		return Template{}
	}
	for _, part := range t.Root.Nodes {
		if part.Type() == parse.NodeText {
			continue
		}
		ident, ok := field(part)
		switch {
		case !ok:
			r.Add(n, "%s: %s is not allowed; use {{.param}} or {{.current.field}}", what, part)
		case len(ident) == 1 && ident[0] != "current":
			if _, known := sc.params[ident[0]]; !known {
				r.Add(n, "%s: no earlier step sets the param %q", what, ident[0])
			}
		case len(ident) == 2 && ident[0] == "current":
			if !sc.current {
				r.Add(n, "%s: %s needs a confirm with a question (current)", what, part)
			}
			out.current = append(out.current, ident[1])
		default:
			r.Add(n, "%s: %s is not allowed; use {{.param}} or {{.current.field}}", what, part)
		}
	}
	return out
}

// field gives the names of a plain {{.a}} or {{.a.b}}.
func field(n parse.Node) ([]string, bool) {
	a, ok := n.(*parse.ActionNode)
	if !ok || len(a.Pipe.Decl) > 0 || len(a.Pipe.Cmds) != 1 || len(a.Pipe.Cmds[0].Args) != 1 {
		return nil, false
	}
	f, ok := a.Pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok {
		return nil, false
	}
	return f.Ident, true
}

// Text fills the template in. A field that current does not have is an error of the kind NotFound.
func (t Template) Text(params map[string]any, current map[string]string) (string, error) {
	if t.text == nil {
		return "", nil
	}
	data := make(map[string]any, len(params)+1)
	for k, v := range params {
		data[k] = v
	}
	data["current"] = current
	var b strings.Builder
	if err := t.text.Execute(&b, data); err != nil {
		return "", fault.Wrap(fault.NotFound, err, "fill in")
	}
	return b.String(), nil
}

// Values computes the arguments: text, int64 or bool. Errors have the kind NotFound when a parameter or field is
// missing, and Invalid when a field that must be a whole number is none.
func (s Source) Values(params map[string]any, current map[string]string) (map[string]any, error) {
	out := make(map[string]any, len(s.Args))
	for name, a := range s.Args {
		v, err := a.value(params, current)
		if err != nil {
			return nil, fmt.Errorf("argument %s of %s: %w", name, s.Action, err)
		}
		out[name] = v
	}
	return out, nil
}

func (a Arg) value(params map[string]any, current map[string]string) (any, error) {
	switch {
	case a.Param != "":
		v, ok := params[a.Param]
		if !ok {
			return nil, fault.New(fault.NotFound, "no value for $%s", a.Param)
		}
		return v, nil
	case a.Current != "":
		text, ok := current[a.Current]
		if !ok {
			return nil, fault.New(fault.NotFound, "the answer has no field %s", a.Current)
		}
		if !a.Int {
			return text, nil
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the field %s is not a whole number", a.Current)
		}
		return n, nil
	}
	return a.Literal, nil
}
