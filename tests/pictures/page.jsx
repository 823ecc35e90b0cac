// The page that is photographed: one dashboard at a time.

import { createTheme } from "@grafana/data";
import { GlobalStyles, ThemeContext } from "@grafana/ui";
import { createRoot } from "react-dom/client";
import { Board } from "./panels.jsx";

const theme = createTheme({ colors: { mode: "dark" } });
const WIDTH = 1400;
const EDGE = 16;

function Page({ board }) {
  const minutes = Math.round((board.to - board.from) / 60);
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles isExtensionSidebarOpen={false} />
      <main style={{ width: WIDTH + 2 * EDGE, padding: EDGE, background: theme.colors.background.canvas }}>
        <header style={{ display: "flex", justifyContent: "space-between", alignItems: "baseline", marginBottom: EDGE }}>
          <h1 style={{ fontSize: 20, margin: 0 }}>{board.dashboard.title}</h1>
          <span style={{ color: theme.colors.text.secondary }}>
            Namespace: {board.namespace ?? "All"} &nbsp; Job: All &nbsp; Instance: All &nbsp; Last {minutes} minutes
          </span>
        </header>
        <Board board={board} width={WIDTH} theme={theme} />
      </main>
    </ThemeContext.Provider>
  );
}

const root = createRoot(document.getElementById("page"));
globalThis.draw = (board) => root.render(<Page board={board} key={board.dashboard.uid} />);
