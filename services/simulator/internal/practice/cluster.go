package practice

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"go.uber.org/zap"
)

// Options are what a Cluster needs.
type Options struct {
	Path    string           // the state file; "" keeps everything in memory
	Step    time.Duration    // the pace at which pods become ready; 0 means 300 ms
	History int              // changes that a watch can go back; 0 means 2000
	Now     func() time.Time // required
	Log     *zap.Logger      // required
}

// Cluster is the practice cluster. Pods move while Run runs; Handler serves without it too.
type Cluster struct {
	store   *store
	decoder runtime.Decoder
	step    time.Duration
	now     func() time.Time
	log     *zap.Logger
}

// New reads the state file or makes a new cluster. A file that cannot be read is put aside, under its name with .bad, and reported in
// the log: a practice cluster that begins anew is of more use than none.
func New(o Options) (*Cluster, error) {
	if o.Step == 0 {
		o.Step = 300 * time.Millisecond
	}
	if o.History == 0 {
		o.History = 2000
	}
	decoder, err := newDecoder()
	if err != nil {
		return nil, fmt.Errorf("practice cluster: %w", err)
	}
	c := &Cluster{decoder: decoder, step: o.Step, now: o.Now, log: o.Log}
	version, objects, err := load(o.Path)
	var write func(uint64, state) error
	if o.Path != "" {
		write = func(version uint64, objects state) error { return save(o.Path, version, objects) }
	}
	if err == nil && o.Path != "" {
		c.store = newStore(version, objects, o.History, write)
		err := c.store.change(func(t *transaction) error {
			furnish(t, c.timestamp())
			return nil
		})
		return c, err
	}
	if o.Path != "" && !errors.Is(err, fs.ErrNotExist) {
		o.Log.Warn("the practice cluster's state cannot be read; it is put aside and a new cluster made", zap.String("file", o.Path), zap.Error(err))
		if err := os.Rename(o.Path, o.Path+".bad"); err != nil {
			return nil, fmt.Errorf("practice cluster: %w", err)
		}
	}
	version, objects = seed(c.timestamp())
	if write != nil {
		if err := write(version, objects); err != nil {
			return nil, fmt.Errorf("practice cluster: %w", err)
		}
	}
	c.store = newStore(version, objects, o.History, write)
	return c, nil
}

// timestamp is the time as Kubernetes writes it, in whole seconds.
func (c *Cluster) timestamp() metav1.Time { return metav1.NewTime(c.now().Truncate(time.Second)) }

// Run is the controller: it moves pods, one step at a time, whenever something is to be done, until ctx ends.
func (c *Cluster) Run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		changed := c.store.next() // taken before the step, so that no change is missed
		moved, err := c.reconcileAll()
		if err != nil && !failing {
			c.log.Error("the practice cluster cannot move on, it tries again", zap.Error(err))
		}
		failing = err != nil
		if !moved && !failing {
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		timer := time.NewTimer(c.step)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}
