package practice

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// fileVersion is the version of the state file's form.
const fileVersion = 1

// stateFile is the whole state on disk.
type stateFile struct {
	Version         int                          `json:"version"`
	ResourceVersion uint64                       `json:"resource_version"`
	Objects         map[string][]json.RawMessage `json:"objects"` // by resource
}

// load reads a state file; a file that does not exist is fs.ErrNotExist.
func load(path string) (uint64, state, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, err
	}
	var f stateFile
	if err := json.Unmarshal(data, &f); err != nil {
		return 0, nil, err
	}
	if f.Version != fileVersion {
		return 0, nil, fmt.Errorf("version %d, want %d", f.Version, fileVersion)
	}
	objects := state{}
	for _, r := range allResources() {
		objects[r.name] = map[key]object{}
		for _, raw := range f.Objects[r.name] {
			o := r.empty()
			if err := json.Unmarshal(raw, o); err != nil {
				return 0, nil, fmt.Errorf("%s: %w", r.name, err)
			}
			if o.GetName() == "" {
				return 0, nil, fmt.Errorf("%s: an object without a name", r.name)
			}
			objects[r.name][keyOf(o)] = o
		}
	}
	return f.ResourceVersion, objects, nil
}

// save replaces a state file. A reader, or the next start, sees the old file or the new one, never a part.
func save(path string, version uint64, objects state) error {
	f := stateFile{Version: fileVersion, ResourceVersion: version, Objects: map[string][]json.RawMessage{}}
	for resource, all := range objects {
		for _, o := range all {
			raw, err := json.Marshal(o)
			if err != nil {
				return err
			}
			f.Objects[resource] = append(f.Objects[resource], raw)
		}
	}
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temp.Name())))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
