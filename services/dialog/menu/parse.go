package menu

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"go.yaml.in/yaml/v4"

	"palmops/libs/conf"
)

// document is a file that was parsed, or what is wrong with it.
type document struct {
	node     *yaml.Node // nil when there is nothing to read
	problems conf.Problems
}

func parseFile(file string, data []byte) document {
	t := Tree{File: file}
	n := t.Parse(data)
	return document{n, t.Problems}
}

// parseAll begins to parse files on all processors, while the reader goes through those that are done: of the time that a
// large menu takes, most goes there. A file that nobody has begun yet when it is needed is parsed at once by who needs it.
// Files in done are parsed already. Wait returns when all work has ended.
func (r *reader) parseAll(done map[string]document) (wait func()) {
	var names []string
	for name, data := range r.files {
		if doc, ok := done[name]; ok {
			r.docs[name] = func() document { return doc }
			continue
		}
		file := r.path(name)
		r.docs[name] = sync.OnceValue(func() document { return parseFile(file, data) })
		names = append(names, name)
	}
	slices.Sort(names)
	docs := make([]func() document, len(names))
	for i, name := range names {
		docs[i] = r.docs[name]
	}
	var begun atomic.Int64
	var work sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(docs)) {
		work.Go(func() {
			for i := begun.Add(1); i <= int64(len(docs)); i = begun.Add(1) {
				docs[i-1]()
			}
		})
	}
	return work.Wait
}

// doc is a file's document. Its problems are noted.
func (r *reader) doc(name string) *yaml.Node {
	d := r.docs[name]()
	r.Problems = append(r.Problems, d.problems...)
	return d.node
}
