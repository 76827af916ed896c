package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
	"github.com/urfave/cli/v2"
)

// command is the command line of an application's program.
func command(name string, apps []App) *cli.App {
	app := newCLI(name, "serve "+appNames(apps)+" with a master and its workers")
	app.Action = func(c *cli.Context) error {
		if c.Args().Present() {
			return &usageError{fmt.Errorf("unknown command %q: see %s --help", c.Args().First(), name)}
		}
		pid, err := start(c.Context, c.String(configFlag().Name), apps)
		if pid > 0 {
			fmt.Fprintf(c.App.Writer, "%s: serving, pid %d\n", name, pid)
		}
		return err
	}
	app.Commands = append([]*cli.Command{checkCommand(apps), planCommand(apps), collectCommand(apps)}, Commands()...)
	return app
}

// newCLI is a command line that returns its errors instead of ending the
// process, so that there is one place that knows the exit codes.
func newCLI(name, usage string) *cli.App {
	return &cli.App{
		Name: name, HelpName: name, Usage: usage, Version: Version + " (build " + buildID() + ")",
		Flags:           []cli.Flag{configFlag()},
		HideHelpCommand: true,
		ExitErrHandler:  func(*cli.Context, error) {},
		OnUsageError:    onUsageError,
	}
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	return &usageError{fmt.Errorf("%w: see %s --help", err, c.App.Name)}
}

func configFlag() *cli.StringFlag {
	return &cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "TOML `FILE`; without it an embedded default"}
}

// subcommand gives a command the flag and the error handling all of them share.
func subcommand(name, usage string, action cli.ActionFunc, flags ...cli.Flag) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, Flags: append([]cli.Flag{configFlag()}, flags...), OnUsageError: onUsageError,
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return &usageError{fmt.Errorf("%s takes no argument %q: see %s %s --help", name, c.Args().First(), c.App.Name, name)}
			}
			return action(c)
		},
	}
}

// configPath finds --config before or after the name of the command.
func configPath(c *cli.Context) string {
	for _, at := range c.Lineage() {
		if path := at.String("config"); path != "" {
			return path
		}
	}
	return ""
}

func checkCommand(apps []App) *cli.Command {
	return subcommand("check", "check the configuration file and that this program has its app", func(c *cli.Context) error {
		s, err := state(apps, configPath(c))
		if err != nil {
			return err
		}
		_, err = makePlan(s)
		if err != nil {
			return &usageError{err}
		}
		fmt.Fprintf(c.App.Writer, "%s: ok\n", orDefault(s.Config.File, "embedded default"))
		return nil
	})
}

func planCommand(apps []App) *cli.Command {
	return subcommand("plan", "say what a start would do, and do nothing", func(c *cli.Context) error {
		s, err := state(apps, configPath(c))
		if err != nil {
			return err
		}
		if c.Bool("json") {
			text, err := encode(s)
			if err != nil {
				return err
			}
			_, err = c.App.Writer.Write(text)
			return err
		}
		s.print(c.App.Writer)
		return nil
	}, jsonFlag())
}

// Commands are the commands that speak to a running master: reload, stop and
// status. They are the same for every program, because they need its control
// socket only.
func Commands() []*cli.Command {
	control := &cli.StringFlag{Name: "control", Usage: "control socket `PATH`, instead of the one that the configuration file means"}
	now := &cli.BoolFlag{Name: "now", Usage: "cut the requests that are running"}
	return []*cli.Command{
		subcommand("reload", "run the program and configuration that are on disk now, or say why not", runReload, control, jsonFlag(),
			&cli.BoolFlag{Name: "wait", Value: true, Usage: "print each phase, and end with the outcome"},
			&cli.BoolFlag{Name: "no-wait", Usage: "ask for the reload and leave; the log and status tell the outcome"}),
		subcommand("stop", "finish the running requests and end the master", runStop, control, now),
		subcommand("status", "show the master, its workers and their numbers", runStatus, control, jsonFlag()),
	}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON"}
}

// dial finds the control socket. The file is only looked into, so that a broken
// configuration still lets the operator stop what is running.
func dial(c *cli.Context) (*ctlClient, error) {
	if path := c.String("control"); path != "" {
		return newCtlClient(path), nil
	}
	path := configPath(c)
	if path == "" {
		return newCtlClient(controlPath(config.Default())), nil
	}
	cfg, err := config.Peek(path)
	if err != nil {
		return nil, err
	}
	return newCtlClient(controlPath(cfg)), nil
}

func runReload(c *cli.Context) error {
	client, err := dial(c)
	if err != nil {
		return err
	}
	if c.Bool("wait") && c.Bool("no-wait") && c.IsSet("wait") {
		return &usageError{errors.New("--wait and --no-wait exclude each other")}
	}
	show := reloadText(c.App.Writer)
	if c.Bool("json") {
		show = reloadJSON(c.App.Writer)
	}
	var answer reloadAnswer
	if c.Bool("no-wait") || !c.Bool("wait") {
		answer, err = client.request(c.Context)
	} else {
		answer, err = client.reload(c.Context, func(s reloadStep) { show(s) })
	}
	if answer.Done && show(answer) {
		return quiet(err)
	}
	return err
}

// reloadJSON prints a reload's steps and its outcome, an object a line.
func reloadJSON(w io.Writer) func(any) (said bool) {
	lines := json.NewEncoder(w)
	return func(v any) bool { return lines.Encode(v) == nil }
}

// reloadText does so for a person. What went wrong is left to the error.
func reloadText(w io.Writer) func(any) (said bool) {
	return func(v any) bool {
		switch v := v.(type) {
		case reloadStep:
			fmt.Fprintf(w, "generation %d: %s\n", v.Generation, phaseText(v.Phase))
		case reloadAnswer:
			switch {
			case v.Queued:
				fmt.Fprintln(w, "reload asked for")
			case v.OK:
				fmt.Fprintf(w, "reloaded: generation %d serves, build %s, took %s\n", v.Generation, v.Build, time.Duration(v.TookMS)*time.Millisecond)
			default:
				return false
			}
		}
		return true
	}
}

// phaseText says what a phase is about. A master that is newer may have others.
func phaseText(phase string) string {
	switch phase {
	case master.StepLoad.String():
		return phase + ": the program is asked for its plan"
	case master.StepCanary.String():
		return phase + ": one worker starts"
	case master.StepRoll.String():
		return phase + ": the other workers start"
	case master.StepProbation.String():
		return phase + ": all new workers are ready and have to do well"
	}
	return phase
}

// quiet keeps the exit code of err and leaves out its text, which was printed
// in another form.
func quiet(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitCode(err)}
}

func runStop(c *cli.Context) error {
	client, err := dial(c)
	if err != nil {
		return err
	}
	answer, err := client.stop(c.Context, c.Bool("now"))
	if err == nil {
		fmt.Fprintf(c.App.Writer, "stopped: pid %d has ended\n", answer.PID)
	}
	return err
}

func runStatus(c *cli.Context) error {
	client, err := dial(c)
	if err != nil {
		return err
	}
	s, err := client.status(c.Context)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return json.NewEncoder(c.App.Writer).Encode(s)
	}
	return printStatus(c.App.Writer, s)
}
