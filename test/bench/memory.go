package main

import (
	"context"
	"fmt"
)

// compareMemory prints how much each milter grows while many large messages pass
// at the same time.
func compareMemory(ctx context.Context, o options, load string, milters []*milter) error {
	fmt.Printf("\n%d sessions at the same time, each a body of %d MiB\n", o.large, o.size>>20)
	fmt.Printf("%-12s %12s %12s %12s %8s\n", "milter", "before MiB", "peak MiB", "growth MiB", "MiB/s")
	for _, m := range milters {
		if err := m.forgetPeak(); err != nil {
			return err
		}
		before, err := m.memory("VmRSS")
		if err != nil {
			return err
		}
		r, err := measure(ctx, load, m, o.large, 1, o.size)
		if err != nil {
			fmt.Println(err)
			continue
		}
		peak, err := m.memory("VmHWM")
		if err != nil {
			return err
		}
		fmt.Printf("%-12s %12.1f %12.1f %12.1f %8.0f\n", m.name, before, peak, peak-before, r.PerSecond*float64(o.size>>20))
	}
	return nil
}
