package practice

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// object is anything the API stores. A stored object is never changed: writers replace it by a changed copy.
type object interface {
	metav1.Object
	runtime.Object
}

// key names an object among those of its resource.
type key struct{ namespace, name string }

func (k key) String() string { return k.namespace + "/" + k.name }

func keyOf(o object) key { return key{o.GetNamespace(), o.GetName()} }

// change is one entry of the history that watches read.
type change struct {
	version  uint64
	resource string
	kind     watch.EventType
	object   object // after; of a deletion, the last state with the version of the deletion
	old      object // before; nil for an addition
}

// store holds all objects and the newest part of their history.
type store struct {
	keep int                                 // history entries
	save func(version uint64, s state) error // called before a change is visible; an error prevents it

	mu      sync.Mutex
	version uint64 // of the newest change
	oldest  uint64 // versions below it cannot be watched from any more
	objects state
	history []change
	changed chan struct{} // closed at the next change
}

// state is all objects, by resource.
type state map[string]map[key]object

func newStore(version uint64, objects state, keep int, save func(uint64, state) error) *store {
	return &store{keep: keep, save: save, version: version, oldest: version, objects: objects, changed: make(chan struct{})}
}

// view is a consistent list.
type view struct {
	version uint64
	objects []object // by namespace and name
	oldest  uint64
}

// list returns the objects of a resource, of one namespace or, for "", of all.
func (s *store) list(resource, namespace string) view {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := view{version: s.version, oldest: s.oldest}
	for k, o := range s.objects[resource] {
		if namespace == "" || k.namespace == namespace {
			v.objects = append(v.objects, o)
		}
	}
	sortObjects(v.objects)
	return v
}

func sortObjects(objects []object) {
	slices.SortFunc(objects, func(a, b object) int { return strings.Compare(keyOf(a).String(), keyOf(b).String()) })
}

func (s *store) get(resource string, k key) (object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[resource][k]
	return o, ok
}

// errTooOld means that the history no longer reaches back to a version.
var errTooOld = errors.New("the version is too old")

// since returns the changes after a version, the newest version, and a channel that is closed at the next change.
func (s *store) since(version uint64) (changes []change, newest uint64, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version < s.oldest {
		return nil, 0, nil, errTooOld
	}
	i := len(s.history)
	for i > 0 && s.history[i-1].version > version {
		i--
	}
	return slices.Clone(s.history[i:]), s.version, s.changed, nil
}

// change runs a function that reads and writes through a transaction, and makes its writes visible together, or none of them
// if it or the saving fails.
func (s *store) change(do func(*transaction) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &transaction{store: s, written: map[string]map[key]object{}}
	if err := do(t); err != nil {
		return err
	}
	if len(t.changes) == 0 {
		return nil
	}
	next := state{}
	for resource, objects := range s.objects {
		next[resource] = objects
	}
	for resource, objects := range t.written {
		merged := map[key]object{}
		for k, o := range s.objects[resource] {
			merged[k] = o
		}
		for k, o := range objects {
			if o == nil {
				delete(merged, k)
			} else {
				merged[k] = o
			}
		}
		next[resource] = merged
	}
	version := t.changes[len(t.changes)-1].version
	if s.save != nil {
		if err := s.save(version, next); err != nil {
			return fmt.Errorf("practice cluster: %w", err)
		}
	}
	s.objects, s.version = next, version
	s.history = append(s.history, t.changes...)
	if n := len(s.history) - s.keep; n > 0 {
		s.oldest = s.history[n-1].version
		s.history = slices.Clone(s.history[n:])
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// transaction is the view of a change in progress. It is used by one goroutine.
type transaction struct {
	store   *store
	written map[string]map[key]object // nil for a deletion
	changes []change
}

func (t *transaction) get(resource string, k key) (object, bool) {
	if o, ok := t.written[resource][k]; ok {
		return o, o != nil
	}
	o, ok := t.store.objects[resource][k]
	return o, ok
}

// list returns the objects of a resource by namespace and name.
func (t *transaction) list(resource string) []object {
	var out []object
	for k := range t.store.objects[resource] {
		if o, ok := t.get(resource, k); ok {
			out = append(out, o)
		}
	}
	for k, o := range t.written[resource] {
		if _, before := t.store.objects[resource][k]; !before && o != nil {
			out = append(out, o)
		}
	}
	sortObjects(out)
	return out
}

// put adds or replaces an object, which the store owns from now on, and gives it its resource version.
func (t *transaction) put(resource string, o object) {
	kind := watch.Added
	old, ok := t.get(resource, keyOf(o))
	if ok {
		kind = watch.Modified
	}
	t.write(resource, keyOf(o), o, change{kind: kind, object: o, old: old})
}

// remove deletes an object if it is there.
func (t *transaction) remove(resource string, k key) {
	old, ok := t.get(resource, k)
	if !ok {
		return
	}
	gone, is := old.DeepCopyObject().(object)
	if !is {
		return // cannot be: a copy has the type of its original
	}
	t.write(resource, k, nil, change{kind: watch.Deleted, object: gone, old: old})
}

func (t *transaction) write(resource string, k key, o object, c change) {
	c.resource = resource
	c.version = t.store.version + uint64(len(t.changes)) + 1
	c.object.SetResourceVersion(strconv.FormatUint(c.version, 10))
	if t.written[resource] == nil {
		t.written[resource] = map[key]object{}
	}
	t.written[resource][k] = o
	t.changes = append(t.changes, c)
}

// next is a channel that is closed at the next change.
func (s *store) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}
