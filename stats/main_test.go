package stats

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// deadline is for events that come within milliseconds on a healthy machine.
const deadline = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
