package command

import (
	"context"
	"fmt"

	"palmops/libs/run"
	dialog "palmops/services/dialog/app"
	executor "palmops/services/executor/app"
	gateway "palmops/services/gateway/app"
	simulator "palmops/services/simulator/app"
)

// serve runs one service alone, exactly as its own binary does.
func serve(s run.Service) func(context.Context, Streams, []string) error {
	return func(ctx context.Context, st Streams, args []string) error {
		if code := s.Main(ctx, args, st.Err); code != 0 {
			return fmt.Errorf("the %s ended with a failure", s.Name)
		}
		return nil
	}
}

func services() []run.Service {
	return []run.Service{gateway.Service(), dialog.Service(), executor.Service(), simulator.Service()}
}
