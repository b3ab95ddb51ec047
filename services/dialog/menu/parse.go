package menu

import (
	"runtime"
	"slices"
	"sync"

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

// parseAll parses files on all processors: of the time that a large menu takes, most goes there. Parsed ones stay as
// they are. It returns when all work has ended.
func (r *reader) parseAll(files Files) {
	var names []string
	for name := range files {
		if _, done := r.docs[name]; !done {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	docs := make([]document, len(names))
	next := make(chan int)
	var work sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		work.Go(func() {
			for i := range next {
				docs[i] = parseFile(r.path(names[i]), files[names[i]])
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	work.Wait()
	for i, name := range names {
		r.docs[name] = docs[i]
	}
}

// doc is a file's document. Its problems are noted.
func (r *reader) doc(name string) *yaml.Node {
	d := r.docs[name]
	r.Problems = append(r.Problems, d.problems...)
	return d.node
}
