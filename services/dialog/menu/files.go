package menu

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
)

// Files are the files of a menu by their slash path relative to the root file's folder; the root file stands under its
// base name.
type Files map[string][]byte

// ReadFiles reads a menu's root file and all that it includes, directly or not. Nothing outside the root file's folder is
// read, whatever a path or a symbolic link says. The error is of type conf.Problems.
func ReadFiles(file string) (Files, error) {
	g, err := gather(file)
	if err != nil {
		return nil, err
	}
	for i, p := range g.Problems {
		g.Problems[i].File = filepath.Join(filepath.Dir(file), p.File)
	}
	if err := g.Err(); err != nil {
		return nil, err
	}
	return g.files, nil
}

// gatherer reads files and looks for includes. Its problems have paths relative to the folder.
type gatherer struct {
	conf.Problems
	dir   *os.Root
	files Files
	docs  map[string]document // files that were parsed and are in order
	total int
	full  bool
}

// gather gives what could be read, and Problems for what could not; an error when that is nothing at all.
func gather(file string) (*gatherer, error) {
	data, err := conf.Read(file)
	if err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, conf.Problems{{File: file, Text: cause(err).Error()}}
	}
	g := &gatherer{dir: dir, files: Files{}, docs: map[string]document{}}
	g.take(filepath.Base(file), data)
	_ = dir.Close() // it was only read
	return g, nil
}

func (g *gatherer) take(name string, data []byte) {
	g.files[name] = data
	g.total += len(data)
	if !bytes.Contains(data, []byte("include")) {
		return // and Build parses it
	}
	doc := parseFile(name, data)
	if doc.node == nil {
		return // Build tells why
	}
	g.docs[name] = doc
	g.search(name, doc.node, 0)
}

// search looks for includes where a menu may have them: what stands elsewhere, Build refuses.
func (g *gatherer) search(name string, n *yaml.Node, depth int) {
	items := value(n, "items")
	if items == nil || depth > MaxDepth {
		return
	}
	if inc := value(items, "include"); inc != nil {
		g.include(name, inc)
	}
	if items.Kind != yaml.SequenceNode {
		return
	}
	for _, item := range items.Content {
		if inc := value(item, "include"); inc != nil {
			g.include(name, inc)
			continue
		}
		g.search(name, item, depth+1)
	}
}

func (g *gatherer) include(from string, n *yaml.Node) {
	name, err := included(from, n)
	if err != nil || g.files[name] != nil || g.full {
		return // Build tells what is wrong
	}
	switch data, err := g.read(name); {
	case errors.Is(err, fs.ErrNotExist):
		g.Add(from, n.Line, "include: there is no file %s", name)
	case err != nil:
		g.Add(from, n.Line, "include: %s: %v", name, cause(err))
	case len(g.files) == MaxFiles:
		g.full = true
		g.Add(from, n.Line, "include: the menu has more than %d files", MaxFiles)
	case g.total+len(data) > MaxTotal:
		g.full = true
		g.Add(from, n.Line, "include: the files of the menu have more than %d bytes", MaxTotal)
	default:
		g.take(name, data)
	}
}

var (
	errSpecial = errors.New("it is not a file")
	errLarge   = errors.New("it is larger than a menu file may be")
)

func (g *gatherer) read(name string) ([]byte, error) {
	info, err := g.dir.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, errSpecial
	}
	f, err := g.dir.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, conf.MaxFile+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(data) > conf.MaxFile {
		return nil, errLarge
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

// cause is an error without the path that the message names already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// value is what a mapping has under a key, nil when it has not or is no mapping.
func value(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

var errInclude = errors.New("include must be the path of a .yaml file below this one's folder, such as teams/retail.yaml, without . or .. as folders")

// included is the file that an include names, as a path from the root's folder; what is written is a path from the
// folder of the file from.
func included(from string, n *yaml.Node) (string, error) {
	name := n.Value
	ext := path.Ext(name)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" || !fs.ValidPath(name) || ext != ".yaml" && ext != ".yml" ||
		len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == ':' }) {
		return "", errInclude
	}
	return path.Join(path.Dir(from), name), nil
}

// placed is an item, and the files that lead to it.
type placed struct {
	n     *yaml.Node
	chain []string
}

// unfold lists the items of a list, with those of included files in the place of the include.
func (r *reader) unfold(n *yaml.Node) (list []placed) {
	if inc := value(n, "include"); inc != nil {
		r.Fields(n, "items", "include")
		return r.include(inc)
	}
	items := r.Sequence(n, "items")
	if n.Kind == yaml.SequenceNode && len(items) == 0 {
		r.Add(n, "items is empty")
	}
	for _, item := range items {
		if inc := value(item, "include"); inc != nil {
			r.Fields(item, "an include", "include")
			list = append(list, r.include(inc)...)
			continue
		}
		list = append(list, placed{item, r.chain})
	}
	return list
}

func (r *reader) include(n *yaml.Node) []placed {
	name, err := included(r.chain[len(r.chain)-1], n)
	if err != nil {
		r.Add(n, "%v", err)
		return nil
	}
	if at := slices.Index(r.chain, name); at >= 0 {
		r.Add(n, "include: %s would include itself: %s", name, strings.Join(append(slices.Clone(r.chain[at:]), name), " → "))
		return nil
	}
	if first, twice := r.included[name]; twice {
		r.Add(n, "include: %s is included a second time, so that its ids would be there twice; the first is %s", name, first)
		return nil
	}
	if _, ok := r.files[name]; !ok {
		r.Add(n, "include: there is no file %s", name)
		return nil
	}
	r.included[name] = r.where(n.Line)
	from := r.chain
	defer r.enter(from)
	r.enter(append(slices.Clip(from), name))
	doc := r.doc(name)
	if doc == nil {
		return nil
	}
	f := r.Fields(doc, "an included file", "version", "items")
	r.Need(doc, f, "an included file", "version", "items")
	r.Integer(f["version"], "version", 1, 1, 1)
	if f["items"] == nil {
		return nil
	}
	return r.unfold(f["items"])
}
