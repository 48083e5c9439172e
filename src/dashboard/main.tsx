import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import './styles/tokens.css';
import './styles/base.css';
import './styles/components.css';
import './styles/search.css';
import './styles/log.css';
import './styles/log-selection.css';
import './styles/log-panel.css';
import './styles/audit.css';
import './styles/webhooks.css';
import './styles/first-run.css';
import './styles/alerts.css';
import './styles/charts.css';
import './styles/catalogue.css';

const root = document.getElementById('root');
if (!root) throw new Error('The page has no #root');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
