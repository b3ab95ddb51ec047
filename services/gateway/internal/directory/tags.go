package directory

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"palmops/libs/fault"
	"palmops/libs/wecom"
)

const (
	// tagsFor is how long the tags count as known. Reading them takes a call for each tag.
	tagsFor = 60 * time.Second
	// tagsLast is how long the tags that were read last stand in for those that cannot be read: nobody loses a right
	// because WeCom is busy. Longer, and a right that was taken away would work on.
	tagsLast = 10 * time.Minute
	// tagsPatience is how long somebody waits for tags to be read anew when older ones are at hand.
	tagsPatience = 300 * time.Millisecond
	tagsPause    = 5 * time.Second
	tagsLimit    = 30 * time.Second
	// tagReaders is how many tags are read at once; WeCom limits what runs at once.
	tagReaders = 4
)

// tagged is who has which tags, by user id in lower case and by department.
type tagged struct {
	users       map[string][]int64
	departments map[int64][]int64
}

// of is the tags of a member of departments, sorted. A department's tag is a tag of all who are in it or below it.
func (t tagged) of(user string, departments []int64) []int64 {
	tags := slices.Clone(t.users[strings.ToLower(user)])
	for _, id := range departments {
		tags = append(tags, t.departments[id]...)
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// readTags reads all tags. A tag that was deleted meanwhile is none; any other failure is one of all, since a person
// without one of their tags would be another person.
func readTags(ctx context.Context, s Source) (tagged, error) {
	list, err := s.Tags(ctx)
	if err != nil {
		return tagged{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	who, errs := make([]wecom.Tagged, len(list)), make([]error, len(list))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(tagReaders, len(list)) {
		wg.Go(func() {
			for i := range next {
				if who[i], errs[i] = s.Tagged(ctx, list[i].ID); errs[i] != nil && !fault.Is(errs[i], fault.NotFound) {
					cancel()
				}
			}
		})
	}
	for i := range list {
		next <- i
	}
	close(next)
	wg.Wait()
	t := tagged{users: map[string][]int64{}, departments: map[int64][]int64{}}
	for i, tag := range list {
		if fault.Is(errs[i], fault.NotFound) {
			continue
		}
		if errs[i] != nil {
			err = firstCause(err, errs[i])
			continue
		}
		for _, m := range who[i].Members {
			id := strings.ToLower(m.UserID)
			t.users[id] = append(t.users[id], tag.ID)
		}
		for _, dep := range who[i].Departments {
			t.departments[dep] = append(t.departments[dep], tag.ID)
		}
	}
	return t, err
}

// firstCause prefers what went wrong to what was called off because of it.
func firstCause(a, b error) error {
	if a == nil || fault.Is(a, fault.Transient) && !fault.Is(b, fault.Transient) {
		return b
	}
	return a
}
