import { join } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const service = `http://127.0.0.1:${process.env['PORT'] ?? 3000}`;
const passedOn = ['/v1', '/session', '/docs', '/openapi.json'];

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  build: {
    outDir: join(import.meta.dirname, '../../dist/dashboard'),
    emptyOutDir: true,
    // The content security policy allows no data: URLs.
    assetsInlineLimit: 0,
    target: 'es2023',
    chunkSizeWarningLimit: 700,
    // Libraries change seldom: a separate file stays in the browser's cache.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'libraries', test: /node_modules/ }] } } },
  },
  // `npm run dev`, on the host of the service: a cookie counts for a host and all its ports.
  server: { host: '127.0.0.1', proxy: Object.fromEntries(passedOn.map((path) => [path, service])) },
});
