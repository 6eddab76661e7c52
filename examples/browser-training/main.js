/**
 * A page that trains (docs/browser.md). Keys of the configuration and numbers of images may be given in the address:
 * `?steps=100&batchSize=32&trainCount=500`.
 */
import { AblateError, generatePageImages, openPageEngine, trainInPage } from 'ablate/browser';
import net from './net.js';

const element = (id) => document.getElementById(id);
const losses = [];

function showLoss({ step, steps, loss }) {
  losses.push(loss);
  const item = document.createElement('li');
  item.textContent = loss.toPrecision(8);
  element('losses').append(item);
  const highest = Math.max(...losses);
  const points = losses.map((value, i) => `${(600 * (i + 1)) / steps},${200 - (190 * value) / highest}`);
  element('curve').setAttribute('points', points.join(' '));
  element('status').textContent = `Step ${step} of ${steps}, loss ${loss.toFixed(3)}`;
}

async function start() {
  const stop = new AbortController();
  element('start').disabled = true;
  element('stop').disabled = false;
  element('stop').onclick = () => stop.abort();
  element('losses').replaceChildren();
  losses.length = 0;
  let engine;
  try {
    engine = await openPageEngine();
    element('status').textContent = `Compiling for ${engine.description} ...`;
    const asked = [...new URLSearchParams(location.search)];
    const {
      trainCount = 2000,
      testCount = 500,
      ...keys
    } = Object.fromEntries(asked.map(([key, value]) => [key, Number.isNaN(Number(value)) ? value : Number(value)]));
    const { step, evaluation } = await trainInPage({
      config: { model: net, recipe: 'modern', steps: 300, batchSize: 64, ...keys },
      engine,
      dataset: generatePageImages({ trainCount, testCount }),
      signal: stop.signal,
      onStep: showLoss,
    });
    const right =
      evaluation === undefined ? 'stopped' : `${(100 * evaluation.accuracy).toFixed(1)}% of the test images are right`;
    element('status').textContent = `${step} steps taken: ${right}.`;
  } catch (error) {
    element('status').textContent = error instanceof AblateError ? [error.message, error.fix].join('. ') : String(error);
    throw error;
  } finally {
    engine?.dispose();
    element('start').disabled = false;
    element('stop').disabled = true;
  }
}

element('start').onclick = start;
