package menu

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a menu's zone is known on every machine
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
	"palmops/libs/lang"
)

// Defaults of a menu file.
const (
	DefaultPage    = 8
	DefaultTimeout = 600 * time.Second
	DefaultExpires = 120 * time.Second
	DefaultZone    = "Asia/Shanghai"
)

// BuildOptions says what a menu is held against.
type BuildOptions struct {
	Dir   string   // where the files are from, for messages
	Nodes []string // names of the nodes that are registered in Go; nil when any name may be used
}

// Load reads a menu file and what it includes, and builds the menu. The error is of type conf.Problems and holds every
// mistake with its file and line.
func Load(path string, o BuildOptions) (*Menu, error) {
	if o.Dir == "" {
		o.Dir = filepath.Dir(path)
	}
	g, err := gather(path)
	if err != nil {
		return nil, err
	}
	m, err := build(filepath.Base(path), g.files, g.docs, o)
	var ps conf.Problems
	if err != nil {
		ps.Merge(path, err)
	}
	if len(g.Problems) == 0 {
		return m, ps.Err()
	}
	// What could not be read is missing for build too, which then says less about it.
	seen := map[conf.Problem]bool{}
	for i, p := range g.Problems {
		g.Problems[i].File = filepath.Join(o.Dir, p.File)
		seen[conf.Problem{File: g.Problems[i].File, Line: p.Line}] = true
	}
	ps = slices.DeleteFunc(ps, func(p conf.Problem) bool {
		return strings.HasPrefix(p.Text, "include: there is no file") && (g.full || seen[conf.Problem{File: p.File, Line: p.Line}])
	})
	return nil, append(ps, g.Problems...).Err()
}

// Build makes a menu of files that ReadFiles gathered; root is the name of the first one. The error is of type
// conf.Problems and holds every mistake, with the file's name joined to o.Dir, and the line.
func Build(root string, files Files, o BuildOptions) (*Menu, error) {
	return build(root, files, nil, o)
}

// build uses the documents in docs, by file, where they are read already.
func build(root string, files Files, docs map[string]document, o BuildOptions) (*Menu, error) {
	r := &reader{
		files: files, docs: map[string]func() document{}, o: o, included: map[string]string{},
		parsed: map[string]parsed{}, conditions: map[string]*condition{}, templates: map[string]*filling{}, patterns: map[string]matcher{},
	}
	zone, err := time.LoadLocation(DefaultZone)
	if err != nil {
		return nil, conf.Problems{{File: root, Text: err.Error()}}
	}
	file := filepath.Join(o.Dir, root)
	r.m = &Menu{File: file, Timeout: DefaultTimeout, Language: lang.Chinese, Zone: zone, Root: &Node{File: file}, nodes: map[string]*Node{}}
	r.enter([]string{root})
	if r.fits(root) {
		defer r.parseAll(docs)()
		if doc := r.doc(root); doc != nil {
			r.menu(doc)
			r.resolve()
		}
	}
	if err := r.Problems.Err(); err != nil {
		return nil, err
	}
	r.m.Rev = r.rev(root)
	r.m.search = newIndex(r.m)
	return r.m, nil
}

// rev names the content: the root and what it includes, each with its name.
func (r *reader) rev(root string) string {
	sum := sha256.New()
	names := append(slices.Collect(maps.Keys(r.included)), root)
	slices.Sort(names)
	for _, name := range names {
		var size [16]byte
		binary.BigEndian.PutUint64(size[:8], uint64(len(name)))
		binary.BigEndian.PutUint64(size[8:], uint64(len(r.files[name])))
		sum.Write(size[:])
		sum.Write([]byte(name))
		sum.Write(r.files[name])
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
}

// fits reports whether there is a root file, and the files are within the limits of a menu.
func (r *reader) fits(root string) bool {
	_, found := r.files[root]
	total := 0
	for _, data := range r.files {
		total += len(data)
	}
	switch {
	case !found:
		r.Problems.Add(r.File, 0, "the file is missing")
	case len(r.files) > MaxFiles:
		r.Problems.Add(r.File, 0, "the menu has %d files, the limit is %d", len(r.files), MaxFiles)
	case total > MaxTotal:
		r.Problems.Add(r.File, 0, "the files of the menu have %d bytes, the limit is %d", total, MaxTotal)
	default:
		return true
	}
	return false
}

// reader reads a menu. Its Tree is that of the file which is read now.
type reader struct {
	Tree
	m     *Menu
	files Files
	docs  map[string]func() document
	o     BuildOptions

	chain    []string          // the files from the root to the one that is read now
	included map[string]string // file to where it is included
	count    int               // nodes so far
	links    []link

	parsed     map[string]parsed
	conditions map[string]*condition
	templates  map[string]*filling
	patterns   map[string]matcher
}

// enter makes the last file of a chain the one that is read now.
func (r *reader) enter(chain []string) { r.chain, r.File = chain, r.path(chain[len(chain)-1]) }

// path is a file as messages name it.
func (r *reader) path(name string) string { return filepath.Join(r.o.Dir, filepath.FromSlash(name)) }

func (r *reader) menu(doc *yaml.Node) {
	f := r.Fields(doc, "a menu", "version", "title", "first", "page_size", "session", "cards", "language", "timezone", "items")
	r.Need(doc, f, "a menu", "version", "title", "items")
	r.Integer(f["version"], "version", 1, 1, 1)
	m := r.m
	m.Title = r.label(f["title"], "title")
	m.First = int(r.Integer(f["first"], "first", 0, 1, 1))
	m.PageSize = int(r.Integer(f["page_size"], "page_size", 1, MaxPage, DefaultPage))
	if n := f["session"]; n != nil {
		s := r.Fields(n, "session", "timeout", "fixed")
		m.Timeout = r.Duration(s["timeout"], "timeout", time.Second, 24*time.Hour, DefaultTimeout)
		m.Fixed = r.Bool(s["fixed"], "fixed")
	}
	m.Cards = r.Bool(f["cards"], "cards")
	if l := r.oneOf(f["language"], "language", string(lang.Chinese), string(lang.English)); l != "" {
		m.Language = lang.Tag(l)
	}
	if n := f["timezone"]; n != nil {
		name := r.filled(n, "timezone", 64)
		zone, err := time.LoadLocation(name)
		switch {
		case name == "":
		case err != nil || name == "Local":
			r.Add(n, "timezone is %q, it must be a name such as Asia/Shanghai", name)
		default:
			m.Zone = zone
		}
	}
	m.Root.Title, m.Root.Line = m.Title, doc.Line
	m.Root.Items = r.items(f["items"], m.Root, 1)
}

// label is a short text that may stand alone on a line.
func (r *reader) label(n *yaml.Node, what string) lang.Words {
	w := r.Words(n, what, MaxLabel)
	for _, s := range []string{w.ZH, w.EN} {
		if len(s) > MaxBytes && utf8.RuneCountInString(s) <= MaxLabel {
			r.Add(n, "%s takes %d bytes, the limit is %d", what, len(s), MaxBytes)
		}
	}
	return w
}

func (r *reader) prompt(n *yaml.Node, what string) lang.Words { return r.Words(n, what, MaxPrompt) }

// named is a text of a certain form, "" after a mistake.
func (r *reader) named(n *yaml.Node, what string, f form) string {
	s := r.Text(n, what, MaxPrompt)
	if n == nil || s == "" && n.Value != "" {
		return ""
	}
	if !f.ok(s) {
		r.Add(n, "%s is %q, it must match %s", what, s, f)
		return ""
	}
	return s
}

// oneOf is one of a few words, "" when the node is missing or wrong.
func (r *reader) oneOf(n *yaml.Node, what string, words ...string) string {
	if n == nil {
		return ""
	}
	s := r.Text(n, what, MaxPrompt)
	if !slices.Contains(words, s) {
		r.Add(n, "%s is %q, it must be %s", what, s, strings.Join(words, ", "))
		return ""
	}
	return s
}
