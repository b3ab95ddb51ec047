// Package media keeps the files that the app uploads, as WeCom's temporary material (developer.work.weixin.qq.com/document/path/90253):
// each for three days, and the newest only once there are too many.
package media

import (
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"palmops/libs/fault"
)

const (
	// life is how long a media_id is valid.
	life = 3 * 24 * time.Hour
	// What is kept at most; the oldest go first.
	keepFiles = 500
	keepBytes = 64 << 20
)

// File is one uploaded file.
type File struct {
	ID      string    `json:"media_id"`
	Kind    string    `json:"type"` // image, voice, video or file
	Name    string    `json:"name"` // as people see it
	Size    int64     `json:"size"` // bytes
	Created time.Time `json:"created"`

	data []byte // nil when it is on disk
}

// Store holds files in a directory, or in memory. It is safe for concurrent use.
type Store struct {
	dir string
	now func() time.Time

	mu    sync.Mutex
	files []File // by Created
	bytes int64
}

// Open reads the store in a directory, which it makes; "" keeps files in memory only. What cannot be read in the directory is left
// out; the files that belong to nothing are removed.
func Open(dir string, now func() time.Time) (*Store, error) {
	s := &Store{dir: dir, now: now}
	if dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("media: %w", err)
	}
	for _, e := range entries {
		if id, is := strings.CutSuffix(e.Name(), about); is {
			if f, ok := s.read(id); ok {
				s.files = append(s.files, f)
				s.bytes += f.Size
			}
		}
	}
	slices.SortFunc(s.files, func(a, b File) int { return a.Created.Compare(b.Created) })
	for _, e := range entries {
		id, _ := strings.CutSuffix(e.Name(), about)
		if validID.MatchString(id) && !slices.ContainsFunc(s.files, func(f File) bool { return f.ID == id }) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return nil, fmt.Errorf("media: %w", err)
			}
		}
	}
	return s, s.prune()
}

// about ends the name of the file that describes another one.
const about = ".json"

var validID = regexp.MustCompile(`^[A-Z2-7]{52}$`)

func newID() string { return crand.Text() + crand.Text() }

func (s *Store) read(id string) (File, bool) {
	text, err := os.ReadFile(filepath.Join(s.dir, id+about))
	if err != nil || !validID.MatchString(id) {
		return File{}, false
	}
	var f File
	if json.Unmarshal(text, &f) != nil || f.ID != id {
		return File{}, false
	}
	info, err := os.Stat(filepath.Join(s.dir, id))
	if err != nil || info.Size() != f.Size {
		return File{}, false
	}
	return f, true
}

// Put keeps a file and returns it with its id. The store owns data from then on. The error is fault.Internal.
func (s *Store) Put(kind, name string, data []byte) (File, error) {
	f := File{ID: newID(), Kind: kind, Name: name, Size: int64(len(data)), Created: s.now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		f.data = data
	} else if err := s.write(f, data); err != nil {
		return File{}, fault.Wrap(fault.Internal, err, "media")
	}
	s.files = append(s.files, f)
	s.bytes += f.Size
	return f, fault.Wrap(fault.Internal, s.prune(), "media")
}

// write puts the description last: without it, there is no file.
func (s *Store) write(f File, data []byte) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, f.ID)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return errors.Join(err, remove(path))
	}
	if err := os.WriteFile(path+about, text, 0o600); err != nil {
		return errors.Join(err, remove(path), remove(path+about))
	}
	return nil
}

// prune drops files that are too old or too many. The caller holds mu.
func (s *Store) prune() error {
	n := 0
	for n < len(s.files) && (s.ended(s.files[n]) || len(s.files)-n > keepFiles || s.bytes > keepBytes) {
		f := s.files[n]
		if s.dir != "" {
			path := filepath.Join(s.dir, f.ID)
			if err := errors.Join(remove(path+about), remove(path)); err != nil {
				return err
			}
		}
		s.bytes -= f.Size
		n++
	}
	s.files = slices.Delete(s.files, 0, n)
	return nil
}

func (s *Store) ended(f File) bool { return s.now().Sub(f.Created) >= life }

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Stat finds a file; ok is false when it is unknown or too old.
func (s *Store) Stat(id string) (f File, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.files, func(f File) bool { return f.ID == id })
	if i < 0 || s.ended(s.files[i]) {
		return File{}, false
	}
	return s.files[i], true
}

// Read returns a file's name and content, which must not be changed. Errors: fault.NotFound when it is unknown or too old,
// fault.Internal when the disk does not give it.
func (s *Store) Read(id string) (name string, data []byte, err error) {
	f, ok := s.Stat(id)
	switch {
	case !ok:
		return "", nil, fault.WithText(fault.New(fault.NotFound, "media: no such file"), "没有这个文件，或者它已经超过三天，没有下载。请让对方重新发送。")
	case s.dir == "":
		return f.Name, f.data, nil
	}
	data, err = os.ReadFile(filepath.Join(s.dir, f.ID))
	return f.Name, data, fault.Wrap(fault.Internal, err, "media")
}
