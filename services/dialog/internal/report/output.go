package report

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.uber.org/zap"

	"palmops/libs/fault"
	"palmops/libs/lang"
	"palmops/libs/wire"
	"palmops/services/dialog/internal/outputs"
)

// Limits of an output in chat.
const (
	pageBytes = 900     // of a longer one only so much is shown, in whole lines,
	pageLines = 20      // and no more of those
	fileFrom  = 8 << 10 // bytes from which on it is sent as a file as well
	// storeTries is how often a result waits for the object store: the results of everybody else wait behind it.
	storeTries = 5
)

// Outputs keeps long outputs.
type Outputs interface {
	Put(ctx context.Context, action, text string) error
}

// output adds what an action put out to the message, and its image. A long output is stored whole before the message says where it is.
func (r *Reporter) output(ctx context.Context, ev wire.Event, delivered uint64, out *wire.Outbound) error {
	r.image(ev, out)
	text := strings.TrimRight(strings.ReplaceAll(ev.Output, "\r\n", "\n"), "\n \t")
	if ev.Whole != nil {
		r.whole(ev, text, out)
		return nil
	}
	if text == "" {
		return nil
	}
	s := &out.Screens[0]
	shown, all := firstPage(text)
	s.Body = append(s.Body, shown...)
	if all {
		return nil
	}
	t, lines := lang.Of(ev.Lang), strings.Count(text, "\n")+1
	err := r.outputs.Put(ctx, ev.ID, text)
	switch {
	case err == nil && len(text) > fileFrom:
		s.Body = append(s.Body, texts.Say(t, "output.file", lines, size(int64(len(text)))))
		out.File = &wire.File{Object: outputs.Name(ev.ID), Name: fileName(ev, ".txt"), Size: int64(len(text))}
	case err == nil:
		s.Body = append(s.Body, texts.Say(t, "output.more", lines, size(int64(len(text)))))
	case !fault.Is(err, fault.Invalid) && delivered < storeTries:
		return err
	default:
		r.log.Error("output not stored; its beginning goes out", zap.String("action", ev.ID), zap.Int("bytes", len(text)), zap.Error(err))
		s.Body = append(s.Body, texts.Say(t, "output.lost", lines, size(int64(len(text)))))
	}
	return nil
}

// whole adds the beginning of an output that the executor has stored, and how to see all of it.
func (r *Reporter) whole(ev wire.Event, beginning string, out *wire.Outbound) {
	s, t, most := &out.Screens[0], lang.Of(ev.Lang), ev.Whole.Size
	if beginning != "" {
		shown, _ := firstPage(beginning)
		s.Body = append(s.Body, shown...)
	}
	key := "whole.pages"
	switch {
	case ev.Whole.Object != outputs.Name(ev.ID) || most <= 0: // it names what is not this action's
		r.log.Error("output in a place that is not its own", zap.String("action", ev.ID), zap.String("object", ev.Whole.Object), zap.Int64("bytes", most))
		key = "whole.lost"
	case most > outputs.MostPaged:
		key = "whole.file_only"
	case most > fileFrom:
		key = "whole.file"
	}
	s.Body = append(s.Body, texts.Say(t, key, size(most)))
	if key == "whole.file" || key == "whole.file_only" {
		out.File = &wire.File{Object: ev.Whole.Object, Name: fileName(ev, ".txt"), Size: most}
	}
}

// image adds the picture of a result, or says why there is none.
func (r *Reporter) image(ev wire.Event, out *wire.Outbound) {
	if ev.Image == nil || !wire.Final(ev.State) {
		return
	}
	if ev.Image.Size > 0 && ev.Image.Size <= wire.MaxImage && strings.HasPrefix(ev.Image.Object, "img."+ev.ID) {
		out.Image = &wire.File{Object: ev.Image.Object, Name: fileName(ev, ".png"), Size: ev.Image.Size}
		return
	}
	r.log.Error("image not sent", zap.String("action", ev.ID), zap.String("object", ev.Image.Object), zap.Int64("bytes", ev.Image.Size))
	s := &out.Screens[0]
	s.Body = append(s.Body, texts.Say(lang.Of(ev.Lang), "image.unfit", size(ev.Image.Size), wire.MaxImage>>20))
}

// firstPage is the lines at the beginning that a message shows; all reports that these are all. A first line that is too
// long by itself is shown up to a whole character.
func firstPage(text string) (lines []string, all bool) {
	left := pageBytes
	for len(lines) < pageLines {
		line, rest, more := strings.Cut(text, "\n")
		if len(line) > left {
			if len(lines) == 0 {
				lines = append(lines, beginning(line, left))
			}
			return lines, false
		}
		lines = append(lines, line)
		if !more {
			return lines, true
		}
		left -= len(line) + 1
		text = rest
	}
	return lines, false
}

// beginning is the first whole characters of a text, most bytes at most.
func beginning(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for cut := most; cut > 0; cut-- {
		if utf8.RuneStart(s[cut]) {
			return s[:cut]
		}
	}
	return ""
}

// size is a number of bytes as people read it.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<10:
		return fmt.Sprintf("%.1f KB", float64(n)/1024)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KB", (n+512)/1024)
}

// fileName names the file after the action; a sign that a file name cannot hold becomes -.
func fileName(ev wire.Event, ending string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, ev.Action)
	return strings.TrimLeft(name, ".") + "-" + wire.ShortID(ev.ID) + ending
}
