package rules

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/services/dialog/internal/revision"
	"palmops/services/dialog/menu"
	"palmops/services/dialog/policy"
)

// maxLooked bounds how many files a look at the menu's folder takes in.
const maxLooked = 2000

// pair is a menu and a policy that fit each other, with the files they were made of.
type pair struct {
	menu       *menu.Menu
	policy     *policy.Policy
	policyRev  string
	menuFiles  revision.Bundle
	policyFile revision.Bundle
	changed    time.Time // the newest change of a file
}

// read builds the pair that the files hold. The error is of type conf.Problems.
func (r *Rules) read() (pair, error) {
	var ps conf.Problems
	files, err := menu.ReadFiles(r.Options.Menu)
	ps.Merge(r.Options.Menu, err)
	raw, err := conf.Read(r.Options.Policy)
	ps.Merge(r.Options.Policy, err)
	if err := ps.Err(); err != nil {
		return pair{}, err
	}
	p, err := r.build(
		revision.Bundle{Root: filepath.Base(r.Options.Menu), Files: files},
		revision.Bundle{Root: filepath.Base(r.Options.Policy), Files: menu.Files{filepath.Base(r.Options.Policy): raw}},
	)
	if err != nil {
		return pair{}, err
	}
	p.changed = r.newest(files)
	return p, nil
}

// newest is when one of the files changed last.
func (r *Rules) newest(files menu.Files) time.Time {
	var newest time.Time
	paths := []string{r.Options.Policy}
	for name := range files {
		paths = append(paths, filepath.Join(filepath.Dir(r.Options.Menu), filepath.FromSlash(name)))
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	return newest
}

// fetch builds the pair that the store holds under two names.
func (r *Rules) fetch(ctx context.Context, n revision.Now) (pair, error) {
	m, err := r.Store.Get(ctx, revision.Menu, n.Menu)
	if err != nil {
		return pair{}, err
	}
	p, err := r.Store.Get(ctx, revision.Policy, n.Policy)
	if err != nil {
		return pair{}, err
	}
	if m == nil || p == nil {
		return pair{}, fault.New(fault.NotFound, "menu %s or policy %s is not stored", n.Menu, n.Policy)
	}
	return r.build(*m, *p)
}

// build makes a pair of files. The error is of type conf.Problems.
func (r *Rules) build(menuFiles, policyFile revision.Bundle) (pair, error) {
	var ps conf.Problems
	m, err := r.buildMenu(menuFiles)
	ps.Merge(r.Options.Menu, err)
	raw := policyFile.Files[policyFile.Root]
	p, err := policy.Parse(r.Options.Policy, raw)
	ps.Merge(r.Options.Policy, err)
	if m != nil && p != nil {
		ps.Merge(r.Options.Policy, p.Validate(m))
	}
	if m != nil && r.Check != nil {
		ps.Merge(r.Options.Menu, r.Check(m))
	}
	if err := ps.Err(); err != nil {
		return pair{}, err
	}
	sum := sha256.Sum256(raw)
	return pair{menu: m, policy: p, policyRev: hex.EncodeToString(sum[:])[:12], menuFiles: menuFiles, policyFile: policyFile}, nil
}

func (r *Rules) buildMenu(b revision.Bundle) (*menu.Menu, error) {
	return menu.Build(b.Root, b.Files, menu.BuildOptions{Dir: filepath.Dir(r.Options.Menu), Nodes: r.Nodes})
}

// look is a mark of all YAML files in the menu's folder, below it too, and of the policy: another one when any of them
// was written, replaced, added or removed. Links are followed for files, since that is how Kubernetes mounts them.
func (r *Rules) look() string {
	var paths []string
	_ = filepath.WalkDir(filepath.Dir(r.Options.Menu), func(path string, d fs.DirEntry, err error) error { // what cannot be read is not seen
		switch {
		case err != nil || len(paths) >= maxLooked:
			return fs.SkipDir
		case d.IsDir() && strings.HasPrefix(d.Name(), "..") && len(d.Name()) > 2:
			return fs.SkipDir
		case !d.IsDir() && (strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".yml")):
			paths = append(paths, path)
		}
		return nil
	})
	paths = append(paths, r.Options.Policy)
	slices.Sort(paths)
	h := fnv.New64a()
	for _, path := range slices.Compact(paths) {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		fmt.Fprintf(h, "%s %d %d\n", path, info.Size(), info.ModTime().UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil))
}
